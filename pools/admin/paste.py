"""Backends by paste: lines of addresses for a pool, tested before they are saved.

Rules:
- A test saves nothing; it asks each backend as the pool's probe would.
- All lines are saved as one change, and none of them while one is wrong.
- Whatever is wrong, the page comes back with all that was typed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import translation
from django.utils.translation import gettext as _

from pools.admin import filters, probed, sentences, staging
from pools.admin.paste_forms import ChoosingForm, NewPoolForm, PasteForm
from pools.admin.publishing import PublishingAdmin
from pools.control import teams
from pools.core.errors import DocumentError
from pools.models import Backend, Pool, PublishedState, Team

TESTED_MOST = 200  # backends of one test, that it takes seconds and no more

_Make = Callable[..., PasteForm]


class Pasting(PublishingAdmin[Pool]):
    """For the admin of pools."""

    def get_urls(self) -> list[URLPattern]:
        def page(place: str, name: str, view: Callable[..., HttpResponse]) -> URLPattern:
            bound: Any = self.admin_site.admin_view(view)
            found: URLPattern = path(place, bound, name=f"pools_pool_{name}")
            return found

        own = [
            page("paste/", "paste", self.paste_pool_view),
            page("paste/backends/", "paste_backends", self.paste_choosing_view),
            page("<int:pk>/paste/", "paste_into", self.paste_view),
        ]
        return [*own, *super().get_urls()]

    def may_paste(self, request: HttpRequest) -> bool:
        """Whether this user may add backends."""
        return self.admin_site.get_model_admin(Backend).has_add_permission(request)

    # --- the pages -----------------------------------------------------------------------

    def paste_pool_view(self, request: HttpRequest) -> HttpResponse:
        """A new pool with its backends."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        own = teams.teams(request.user)
        # Who is in one team gives it to that one, and who sees all to none.
        offered = Team.objects.filter(pk__in=own) if own and len(own) > 1 else None

        def form(*args: Any, **kwargs: Any) -> PasteForm:
            return NewPoolForm(*args, teams=offered, **kwargs)

        return self._page(request, form, _("Add a pool from a list"))

    def paste_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Backends for the pool of this page."""
        pool = self.get_object(request, str(pk))
        if pool is None:
            self.message_user(request, _("This pool is no longer there."), messages.WARNING)
            return redirect(f"{self.admin_site.name}:pools_pool_changelist")

        def form(*args: Any, **kwargs: Any) -> PasteForm:
            return PasteForm(*args, pool=pool, **kwargs)

        return self._page(request, form, _("Add backends to %(pool)s") % {"pool": pool}, pool)

    def paste_choosing_view(self, request: HttpRequest) -> HttpResponse:
        """Backends for a pool that is chosen on the page."""
        pools = self.get_queryset(request)

        def form(*args: Any, **kwargs: Any) -> PasteForm:
            return ChoosingForm(*args, pools=pools, **kwargs)

        names = pools.order_by("name").values_list("name", flat=True)
        offered = list(names[: filters.NAMES_OFFERED])
        return self._page(request, form, _("Add backends"), names=offered)

    def _page(
        self,
        request: HttpRequest,
        make: _Make,
        title: str,
        pool: Pool | None = None,
        names: Sequence[str] = (),
    ) -> HttpResponse:
        if not self.may_paste(request):
            raise PermissionDenied
        context: dict[str, Any] = {"title": title, "pool": pool, "names": names}
        if request.method != "POST":
            context["form"] = make(initial={"pool_name": request.GET.get("pool", "")})
            return self._shown(request, context)
        if "_test" in request.POST:
            context["form"] = form = make(request.POST)
            form.is_valid()
            return self._shown(request, {**context, **_tested(form)})
        try:
            with transaction.atomic():
                PublishedState.lock()  # what is checked is what is saved
                context["form"] = form = make(request.POST)
                if form.is_valid():
                    return self._save(request, form)
        except (DocumentError, OperationalError) as error:
            for problem in getattr(error, "problems", [error]):
                said = _("Nothing was saved: %(problem)s") % {"problem": problem}
                context["form"].add_error(None, said)
        return self._shown(request, context)

    def _shown(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        page = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        page["media"] = self.media + context["form"].media
        return TemplateResponse(request, "pools/admin/paste.html", page)

    def _save(self, request: HttpRequest, form: PasteForm) -> HttpResponse:
        pool, parts = form.pool, form.backends
        assert pool is not None  # the form holds
        new = pool.pk is None
        said = partial(sentences.pasted, pool, [part.address for part in parts], new=new)
        with translation.override("en"):
            why = said()
        rows = [Backend(pool=pool) for _part in parts]
        for row, part in zip(rows, parts, strict=True):
            row.assign(part)
        if new:
            # What an admin does with a pool before it is saved is done with this one, too.
            self.save_model(request, pool, cast("Any", form), change=False)
        if staging.staged(request):
            with self.drafting(request) as draft:
                for each in ([pool] if new else []) + rows:
                    draft.keep(each)
        else:
            self._publish(request, pool, rows, why)
        self.message_user(request, f"{said()}.", messages.SUCCESS)
        return redirect(reverse(f"{self.admin_site.name}:pools_pool_change", args=(pool.pk,)))

    def _publish(
        self, request: HttpRequest, pool: Pool, rows: Sequence[Backend], why: str
    ) -> None:
        new = pool.pk is None
        with self.publishing(request, why):
            if new:
                pool.save()
            Backend.objects.bulk_create(rows)
            logged: Any = [pool, *rows] if new else rows
            LogEntry.objects.log_actions(cast("int", request.user.pk), logged, ADDITION, why)


def _tested(form: PasteForm) -> dict[str, Any]:
    """What the backends of the lines that hold answered."""
    pool, backends = form.pool, form.backends
    if pool is None or not backends or _unusable(form):
        return {}
    try:
        found = probed.unsaved(pool, backends[:TESTED_MOST])
    except DocumentError as error:
        for problem in error.problems:
            form.add_error(None, str(problem))
        return {}
    return {
        "found": found,
        "healthy": sum(bool(one.ok) for one in found),
        "untested": len(backends) - len(found),
    }


def _unusable(form: PasteForm) -> bool:
    """Whether something other than the lines is wrong: then nobody knows what to ask."""
    return bool(set(form.errors) - {"lines", "name"})
