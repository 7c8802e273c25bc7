"""Lists whose figures go on without a reload: cells are patched one by one, so that what is
ticked, sorted and scrolled stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    from pools.models.parts import PartModel

    _Base = ModelAdmin[Any]
    _Changes = ChangeList
else:
    _Base = _Changes = object

R = TypeVar("R", bound="PartModel")
A = TypeVar("A")

MOST = 200  # rows of one answer
_DIGITS = 18  # of the largest ids that databases take


class _Read(_Changes):
    """Reads once what the rows of a page have in common."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        cast("LiveList", self.model_admin).read_page(request, list(self.result_list))


class LiveList(_Base):
    """For the admin of a list. `read_page` gives rows what their cells are made of; cells
    marked by `cell` are those that change by themselves."""

    change_list_template = "pools/admin/live_list.html"

    def read_page(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        """Read what these rows need, in a number of queries that does not grow with them."""
        raise NotImplementedError

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        kind = super().get_changelist(request, **kwargs)
        return type("LiveChangeList", (_Read, kind), {})

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        own = {"live_url": reverse(f"{self.admin_site.name}:{self._live_name}")}
        return super().changelist_view(request, {**own, **(extra_context or {})})

    def get_urls(self) -> list[URLPattern]:
        view: Any = self.admin_site.admin_view(self.live_view)
        return [path("live/", view, name=self._live_name), *super().get_urls()]

    @property
    def _live_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_live"

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """The cells of `?rows=1,2,3` that change by themselves."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        asked = request.GET.get("rows", "").split(",")
        keys = [key for key in asked if key.isdecimal() and len(key) < _DIGITS]
        rows = list(self.get_queryset(request).filter(pk__in=keys[:MOST]).order_by("pk"))
        self.read_page(request, rows)
        names = [
            name
            for name in self.get_list_display(request)
            if isinstance(name, str) and hasattr(getattr(self, name, None), "live")
        ]
        cells = ((getattr(self, name)(row),) for row in rows for name in names)
        return HttpResponse(format_html_join("", "{}", cells))


def cell(show: Callable[[A, R], object]) -> Callable[[A, R], object]:
    """A column whose cells are kept up to date; for below `admin.display`."""

    @wraps(show)
    def shown(admin: A, row: R) -> object:
        return format_html(
            '<span class="pools-cell" data-live-cell="{}-{}">{}</span>',
            row.pk,
            show.__name__,
            show(admin, row),
        )

    shown.live = True  # type: ignore[attr-defined]
    return shown
