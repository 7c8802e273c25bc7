"""Alerts and what was sent of them, to read; and to send again."""

from __future__ import annotations

import json

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import base, health, teams
from pools.admin.channel import state_badge
from pools.admin.history import Kept
from pools.admin.numbers import lasting
from pools.control import clock
from pools.models import Alert, Delivery
from pools.models.alert import DeliveryState, Phase
from pools.notify import delivery


class OpenFilter(admin.SimpleListFilter):
    title = gettext_lazy("state")
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("yes", _("Open")), ("no", _("Over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        if not self.value():
            return queryset
        return queryset.filter(ended_at__isnull=self.value() == "yes")


@admin.register(Alert)
class AlertAdmin(Kept, teams.Scoped, base.ModelAdmin[Alert]):
    """Open ones first."""

    list_display = ("state", "kind", "subject", "detail", "begun", "lasted", "told")
    list_display_links = ("kind", "subject")
    list_filter = (OpenFilter, "kind", "pool")
    search_fields = ("subject", "detail")
    fields = (*list_display, "ending")

    class Media:
        css = {"all": ("pools/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        return super().get_queryset(request).prefetch_related("tellings__channel")

    @admin.display(description=gettext_lazy("state"))
    def state(self, alert: Alert) -> SafeString:
        colour, word = ("unknown", _("over")) if alert.ended_at else ("down", _("open"))
        return format_html('<span class="pools-badge pools-{}">{}</span>', colour, word)

    @admin.display(description=gettext_lazy("begun at"), ordering="begun_at")
    def begun(self, alert: Alert) -> str:
        return health.moment(alert.begun_at)

    @admin.display(description=gettext_lazy("lasts"))
    def lasted(self, alert: Alert) -> str:
        return lasting((alert.ended_at or clock.now()) - alert.begun_at)

    @admin.display(description=gettext_lazy("told to"))
    def told(self, alert: Alert) -> str:
        names = sorted(
            telling.channel.name
            for telling in alert.tellings.all()
            if telling.phase == Phase.BEGUN
        )
        return ", ".join(names) or _("nobody")


@admin.register(Delivery)
class DeliveryAdmin(Kept, teams.Scoped, base.ModelAdmin[Delivery]):
    list_display = ("when", "channel", "subject", "state_now", "attempts", "result", "next")
    list_display_links = ("when", "subject")
    list_filter = ("state", ("channel", teams.Related))
    list_select_related = ("channel",)
    search_fields = ("subject", "result")
    fields = (*list_display, "uid", "message", "content")
    actions = ("retry",)

    class Media:
        css = {"all": ("pools/admin.css",)}

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pools.change_channel")

    @admin.action(description=gettext_lazy("Send again now"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        count = delivery.retry(queryset, clock.now())
        if count:
            said = _("To be sent within seconds: %(count)d.") % {"count": count}
            self.message_user(request, said, messages.SUCCESS)
        else:
            self.message_user(request, _("Nothing to do: they were sent."), messages.INFO)

    @admin.display(description=gettext_lazy("at"), ordering="created_at")
    def when(self, row: Delivery) -> str:
        return health.moment(row.created_at)

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def state_now(self, row: Delivery) -> SafeString:
        return state_badge(row.state)

    @admin.display(description=gettext_lazy("next attempt"))
    def next(self, row: Delivery) -> str:
        return health.moment(row.next_at) if row.state == DeliveryState.PENDING else ""

    @admin.display(description=gettext_lazy("text"))
    def message(self, row: Delivery) -> SafeString:
        return format_html('<div class="pools-plain">{}</div>', row.text)

    @admin.display(description=gettext_lazy("payload"))
    def content(self, row: Delivery) -> SafeString:
        plain = json.dumps(row.payload, indent=2, ensure_ascii=False, sort_keys=True)
        return format_html('<pre class="pools-plain">{}</pre>', plain)
