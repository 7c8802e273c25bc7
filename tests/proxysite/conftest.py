import pytest

from tests.proxysite.signing import PASSWORD


@pytest.fixture
def ann(db, django_user_model):
    return django_user_model.objects.create_superuser("ann", password=PASSWORD)
