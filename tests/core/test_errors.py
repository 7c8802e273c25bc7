import pytest

from pools.core.errors import DocumentError, NoBackendAvailable, PoolsError, Problem


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ((), ""),
        (("pools",), "pools"),
        (("pools", 2, "backends", 0, "port"), "pools[2].backends[0].port"),
        ((0, "port"), "[0].port"),
        (("pools", 0, "a\nb"), "pools[0].'a\\nb'"),
    ],
)
def test_a_path_is_written_as_people_write_it(path, where):
    assert Problem(path, "is wrong").where == where


def test_a_problem_says_where_and_what():
    assert str(Problem(("pools", 0, "name"), "is wrong")) == "pools[0].name: is wrong"
    assert str(Problem((), "is wrong")) == "is wrong"


def test_a_document_error_tells_every_problem_on_its_line():
    error = DocumentError(Problem((name,), "is wrong") for name in ("a", "b"))
    assert str(error) == "a: is wrong\nb: is wrong"
    assert len(error.problems) == 2
    assert isinstance(error, PoolsError)


def test_no_backend_names_its_pool():
    error = NoBackendAvailable("web")
    assert (error.pool, error.retry_after_s, error.full) == ("web", 1, False)
    assert str(error) == "no backend of pool 'web' is available"
