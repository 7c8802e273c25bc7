"""The operator's switches: states, weights and probes, of one backend or of many at a time.

Rules:
- Many at a time are one change, and so one revision at most.
- A probe writes nothing, and holds nobody up who writes: it runs in no transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import translation
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import base, health, operating, probed, sentences
from pools.admin.publishing import PublishingAdmin
from pools.control import audit
from pools.core import fields
from pools.core.document import AdminState
from pools.core.errors import DocumentError
from pools.models import Backend

SHOWN = 20  # of those that were chosen, on a page that asks
_AT_ONCE = 500  # rows of one statement

_TITLES = {
    AdminState.READY: gettext_lazy("Ready: take requests"),
    AdminState.DRAIN: gettext_lazy("Drain: no new requests"),
    AdminState.MAINT: gettext_lazy("Maintenance: no requests, no probes"),
}


class Switching(operating.Operated, PublishingAdmin[Backend]):
    actions = ("make_ready", "drain", "maintain", "probe_now", "set_weight")

    # --- actions on many -----------------------------------------------------------------

    @admin.action(description=_TITLES[AdminState.READY], permissions=["operate"])
    def make_ready(self, request: HttpRequest, queryset: QuerySet[Backend]) -> None:
        self._move(request, queryset, AdminState.READY)

    @admin.action(description=_TITLES[AdminState.DRAIN], permissions=["operate"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Backend]) -> None:
        self._move(request, queryset, AdminState.DRAIN)

    @admin.action(description=_TITLES[AdminState.MAINT], permissions=["operate"])
    def maintain(self, request: HttpRequest, queryset: QuerySet[Backend]) -> None:
        self._move(request, queryset, AdminState.MAINT)

    @admin.action(description=gettext_lazy("Probe now"), permissions=["operate"])
    def probe_now(
        self, request: HttpRequest, queryset: QuerySet[Backend]
    ) -> HttpResponse | None:
        count = queryset.count()
        if count > probed.MOST:
            said = _("Choose %(most)d backends at most to probe now: %(count)d are chosen.")
            told = said % {"most": probed.MOST, "count": count}
            self.message_user(request, told, messages.ERROR)
            return None
        return self._probed(request, queryset)

    @admin.action(description=gettext_lazy("Set weight…"), permissions=["operate"])
    def set_weight(
        self, request: HttpRequest, queryset: QuerySet[Backend]
    ) -> HttpResponse | None:
        """Ask for the weight, then set it."""
        typed = request.POST.get("weight")
        problem = ""
        if typed is not None:
            try:
                weight = _weight(typed)
            except ValueError as error:
                problem = str(error)
            else:
                self._weigh(request, queryset, weight)
                return None
        return self._ask_weight(request, queryset, typed or "", problem)

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Backend], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        if _chosen(request) == "probe_now":
            # Past PublishingAdmin, which would let nobody write until all have answered.
            return base.ModelAdmin.response_action(self, request, queryset, *args, **kwargs)
        return super().response_action(request, queryset, *args, **kwargs)

    # --- buttons of one ------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        def button(name: str, view: Callable[..., HttpResponse]) -> URLPattern:
            bound: Any = self.admin_site.admin_view(view)
            found: URLPattern = path(f"<int:pk>/{name}/", bound, name=f"pools_backend_{name}")
            return found

        own = [button("state", self.state_view), button("probe", self.probe_view)]
        return [*own, *super().get_urls()]

    def state_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Move one backend to the state `to`."""
        row = self._pressed(request, pk)
        if isinstance(row, HttpResponse):
            return row
        to = request.POST.get("to", "")
        if to not in list(AdminState):
            known = ", ".join(AdminState)
            said = _("%(state)s is not a state: it is one of %(known)s.")
            told = said % {"state": repr(to), "known": known}
            self.message_user(request, told, messages.ERROR)
            return self._back(request)
        try:
            self._move(request, self._one(request, pk), AdminState(to))
        except (DocumentError, OperationalError) as error:
            self.refuse(request, error)
        return self._back(request)

    def probe_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = self._pressed(request, pk)
        if isinstance(row, HttpResponse):
            return row
        return self._probed(request, self._one(request, pk))

    def switch(self, backend: Backend, query: str = "") -> SafeString:
        """The states as buttons of the form around them, the one of now pressed; `query` is
        of the list to come back to."""
        page = reverse(f"{self.admin_site.name}:pools_backend_state", args=(backend.pk,))
        return format_html(
            '<span class="pools-switch" role="group" aria-label="{}">{}</span>',
            _("State of %(backend)s") % {"backend": backend.key},
            format_html_join(
                "",
                '<button type="submit" formaction="{}{}" name="to" value="{}" title="{}" '
                'class="pools-to-{}" aria-pressed="{}">{}</button>',
                (
                    (
                        page,
                        query,
                        state.value,
                        _TITLES[state],
                        state.value,
                        "true" if backend.state == state else "false",
                        _(state.value),
                    )
                    for state in AdminState
                ),
            ),
        )

    # --- what they share -----------------------------------------------------------------

    def _move(
        self, request: HttpRequest, queryset: QuerySet[Backend], state: AdminState
    ) -> None:
        found = queryset.exclude(state=state).select_related("pool")
        backends = list(found.order_by("pool__name", "host", "port"))
        if not backends:
            said = _("Nothing to do: their state is %(state)s already.")
            said %= {"state": _(state.value)}
            self.message_user(request, said, messages.INFO)
            return
        self._write(
            request, backends, partial(sentences.moved, backends, state), state=state.value
        )

    def _weigh(self, request: HttpRequest, queryset: QuerySet[Backend], weight: int) -> None:
        found = queryset.exclude(weight=weight).select_related("pool")
        backends = list(found.order_by("pool__name", "host", "port"))
        if not backends:
            said = _("Nothing to do: their weight is %(weight)d already.") % {"weight": weight}
            self.message_user(request, said, messages.INFO)
            return
        told = partial(sentences.weighed, backends, weight)
        self._write(request, backends, told, weight=weight)

    def _write(
        self,
        request: HttpRequest,
        backends: Sequence[Backend],
        said: Callable[[], str],
        **values: Any,
    ) -> None:
        """One change of all of them; `values` say nothing of where a backend is. `said` is
        kept in English, and told in the language of who looks."""
        with translation.override("en"):
            why = said()
        with self.publishing(request, why):
            for begin in range(0, len(backends), _AT_ONCE):
                rows = Backend.drafted.filter(
                    pk__in=[row.pk for row in backends[begin : begin + _AT_ONCE]]
                )
                rows.update(**values)
            LogEntry.objects.log_actions(cast("int", request.user.pk), backends, CHANGE, why)
        self.message_user(request, f"{said()}.", messages.SUCCESS)

    def _ask_weight(
        self, request: HttpRequest, queryset: QuerySet[Backend], typed: str, problem: str
    ) -> HttpResponse:
        across = request.POST.get("select_across") == "1"
        count = queryset.count()
        rows = queryset.select_related("pool").order_by("pool__name", "host", "port")
        attrs = {"min": "0", "max": "256", "required": "required", "id": "id_weight"}
        if problem:
            attrs |= {"aria-invalid": "true", "aria-describedby": "weight-problem"}
        context = {
            **self.admin_site.each_context(request),
            "title": _("Set weight"),
            "opts": self.opts,
            "media": self.media,
            "field": base.number_input(**attrs).render("weight", typed),
            "problem": problem,
            "rows": rows[:SHOWN],
            "count": count,
            "more": max(count - SHOWN, 0),
            "chosen": [request.POST.get(ACTION_CHECKBOX_NAME, "0")]
            if across
            else request.POST.getlist(ACTION_CHECKBOX_NAME),
            "across": across,
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "pools/admin/set_weight.html", context)

    def _probed(self, request: HttpRequest, queryset: QuerySet[Backend]) -> HttpResponse:
        rows = queryset.select_related("pool", *health.WITH)
        backends = list(rows.order_by("pool__name", "host", "port"))
        found = probed.ask(backends)
        for row in backends:
            audit.record("probed", kind="backend", name=row.key, team=row.pool.team_id)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Probed now"),
            "opts": self.opts,
            "media": self.media,
            "found": found,
            "healthy": sum(bool(one.ok) for one in found),
            "checkbox": ACTION_CHECKBOX_NAME,
            "back": self._list(request),
        }
        return TemplateResponse(request, "pools/admin/probed.html", context)

    def _pressed(self, request: HttpRequest, pk: int) -> Backend | HttpResponse:
        """The backend of a button that this user may press."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row = self._one(request, pk).select_related("pool").first()
        if not self.has_operate_permission(request, row):
            raise PermissionDenied
        if row is None:
            self.message_user(request, _("This backend is no longer there."), messages.WARNING)
            return self._back(request)
        return row

    def _one(self, request: HttpRequest, pk: int) -> QuerySet[Backend]:
        return self.get_queryset(request).filter(pk=pk)

    def _back(self, request: HttpRequest) -> HttpResponse:
        return redirect(self._list(request))

    def _list(self, request: HttpRequest) -> str:
        """The page that a button was on: the list as it was filtered, or the backend's own."""
        own = request.POST.get("page", "")
        if own.isdecimal():
            return reverse(f"{self.admin_site.name}:pools_backend_change", args=(own,))
        page = reverse(f"{self.admin_site.name}:pools_backend_changelist")
        kept = request.GET.get("_changelist_filters", "")
        return f"{page}?{kept}" if kept else page


def _chosen(request: HttpRequest) -> str:
    """The action that was chosen, as ModelAdmin.response_action finds it."""
    names = request.POST.getlist("action")
    index = request.POST.get("index", "0")
    return names[int(index)] if index.isdecimal() and int(index) < len(names) else ""


def _weight(typed: str) -> int:
    try:
        number = int(typed)
    except ValueError:
        raise ValueError(
            _("%(typed)r is not a weight: use 0 to 256") % {"typed": typed}
        ) from None
    return fields.weight(number)
