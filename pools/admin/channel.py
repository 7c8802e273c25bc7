"""Channels: whom alerts are told. Who may not change them sees none of their secrets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Field, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import base, channel_secrets, deletion, health, lines, teams
from pools.control import audit, clock
from pools.models import Channel, Delivery
from pools.models.alert import AlertKind, DeliveryState
from pools.models.channel import ChannelKind, new_secret
from pools.models.parts import choices
from pools.notify import delivery
from pools.notify.senders import email, services


class ChannelForm(base.ModelForm[Channel]):
    """The URL is typed and never shown again; left empty, it stays as it is."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.url and "url" in self.fields:
            self.initial["url"] = ""
            self.fields["url"].help_text = _(
                "Now %(where)s, the rest is not shown. Leave it empty to keep it."
            ) % {"where": self.instance.where}

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        kind = data.get("kind")
        if not data.get("url") and kind == self.instance.kind:
            data["url"] = self.instance.url
        elif (
            kind == ChannelKind.APPRISE and data.get("url") and not services.known(data["url"])
        ):
            self.add_error(
                "url",
                _(
                    "Apprise does not know this URL, or lacks something in it: see its list "
                    "at appriseit.com/services."
                ),
            )
        if not data.get("every_pool") and not data.get("pools"):
            self.add_error("pools", _("Choose at least one pool, or switch all pools on."))
        return data


@admin.register(Channel)
class ChannelAdmin(teams.Scoped, base.ModelAdmin[Channel]):
    form = ChannelForm
    change_form_template = "pools/admin/channel_form.html"
    list_display = ("name", "kind", "enabled", "reaches", "last")
    list_filter = ("kind", "enabled")
    search_fields = ("name",)
    readonly_fields = ("reaches", "signing_secret")
    # Unfold shows what the kind needs, and what was typed all the same.
    conditional_fields: ClassVar[dict[str, str]] = {
        "recipients": base.shown_when("kind", "kind == 'email' || recipients != ''"),
        "url": base.shown_when("kind", "kind != 'email' || url != ''"),
        "pools": base.shown_when("every_pool", "!every_pool"),
    }

    class Media:
        css = {"all": ("pools/admin.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        newest = Delivery.objects.filter(channel=OuterRef("pk")).order_by("-created_at", "-pk")
        channels: QuerySet[Channel] = super().get_queryset(request)
        return channels.annotate(
            last_state=Subquery(newest.values("state")[:1]),
            last_at=Subquery(newest.values("created_at")[:1]),
        )

    def get_fieldsets(self, request: HttpRequest, obj: Channel | None = None) -> Any:
        """Who may only look gets no field that a secret is read from."""
        changes = obj is None or self.has_change_permission(request, obj)
        to: tuple[str, ...] = ("recipients", "url") if changes else ("reaches",)
        if changes and obj and obj.kind == ChannelKind.WEBHOOK:
            to = (*to, "signing_secret")
        return (
            (None, {"fields": (("name", "enabled"), "kind", *to)}),
            (_("What is told"), {"fields": ("kinds", "every_pool", "pools")}),
            (_("When"), {"fields": (("delay_s", "digest_s"), "tell_end")}),
        )

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        if db_field.name == "recipients":
            kwargs["form_class"] = lines.TextField
            kwargs["widget"] = base.textarea(3)
        if db_field.name == "kinds":
            return forms.MultipleChoiceField(
                choices=choices(AlertKind),
                widget=base.checkboxes(),
                initial=db_field.get_default,
                label=_("Alerts"),
                error_messages={
                    "required": _("Choose at least one, or switch the channel off.")
                },
            )
        found = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "every_pool" and found and not teams.sees_all(request.user):
            found.initial, found.disabled = False, True
            found.help_text = _("For who sees the pools of every team.")
        return found

    def get_deleted_objects(
        self, objs: Sequence[Channel] | QuerySet[Channel], request: HttpRequest
    ) -> deletion.Deletion:
        return deletion.of_channels(objs, request, self.admin_site)

    def save_model(
        self, request: HttpRequest, obj: Channel, form: forms.ModelForm[Channel], change: bool
    ) -> None:
        before = Channel.objects.filter(pk=obj.pk).first() if change else None
        super().save_model(request, obj, form, change)
        channel_secrets.fresh(request, obj, before)
        channel_secrets.recorded(obj, form, before)
        if obj.kind == ChannelKind.EMAIL and (said := email.lacking()):
            text = _("Nothing can be sent yet: %(reason)s.") % {"reason": said}
            self.message_user(request, text, messages.WARNING)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Channel | None:
        found = super().get_object(request, object_id, from_field)
        if found and request.method == "GET":
            channel_secrets.take(request, found)
        return found

    def delete_model(self, request: HttpRequest, obj: Channel) -> None:
        audit.record("removed", kind="channel", name=obj.name)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Channel]) -> None:
        for channel in queryset:
            audit.record("removed", kind="channel", name=channel.name)
        super().delete_queryset(request, queryset)

    # Buttons of the page, each a form of its own

    def get_urls(self) -> list[URLPattern]:
        def button(name: str, view: Any) -> URLPattern:
            bound: Any = self.admin_site.admin_view(view)
            found: URLPattern = path(f"<int:pk>/{name}/", bound, name=f"pools_channel_{name}")
            return found

        own = [button("test", self.test_view), button("secret", self.secret_view)]
        return [*own, *super().get_urls()]

    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Send a test by the channel as it is saved, and say what came of it."""
        channel = self._pressed(request, pk)
        if isinstance(channel, HttpResponse):
            return channel
        done = delivery.send_test(channel, clock.now())
        if done.state == DeliveryState.SENT:
            text = _("The test was sent: %(result)s.") % {"result": done.result}
            self.message_user(request, text, messages.SUCCESS)
        else:
            text = _("The test was not sent: %(result)s.") % {"result": done.result}
            self.message_user(request, text, messages.ERROR)
        return redirect(self._page(pk))

    def secret_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Make a new signing secret; what is sent from now on is signed by it."""
        channel = self._pressed(request, pk)
        if isinstance(channel, HttpResponse):
            return channel
        channel.secret = new_secret()
        channel.save(update_fields=["secret"])
        channel_secrets.fresh(request, channel)
        audit.record(
            "changed", kind="channel", name=channel.name, changes=[channel_secrets.RENEWED]
        )
        self.log_change(request, channel, "New signing secret")
        self.message_user(
            request,
            _("There is a new signing secret: give it to the receiver now, it is shown once."),
            messages.SUCCESS,
        )
        return redirect(self._page(pk))

    def _pressed(self, request: HttpRequest, pk: int) -> Channel | HttpResponse:
        """The channel of a button that this user may press."""
        channel = self.get_object(request, str(pk))
        if not self.has_change_permission(request, channel):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if channel is None:
            self.message_user(request, _("This channel is no longer there."), messages.WARNING)
            return redirect(f"{self.admin_site.name}:pools_channel_changelist")
        return channel

    def _page(self, pk: int) -> str:
        return reverse(f"{self.admin_site.name}:pools_channel_change", args=(pk,))

    # Columns and fields

    @admin.display(description=gettext_lazy("reaches"))
    def reaches(self, channel: Channel) -> str:
        return channel.where

    @admin.display(description=gettext_lazy("last message"))
    def last(self, channel: Channel) -> SafeString | str:
        state = getattr(channel, "last_state", None)
        if state is None:
            return _("none yet")
        at = health.moment(channel.last_at)  # type: ignore[attr-defined]
        return format_html("{} {}", state_badge(state), at)

    @admin.display(description=gettext_lazy("signing secret"))
    def signing_secret(self, channel: Channel) -> SafeString:
        return channel_secrets.shown(channel)


_COLOURS = {
    DeliveryState.PENDING: "partly",
    DeliveryState.SENT: "up",
    DeliveryState.FAILED: "down",
}


def state_badge(state: str) -> SafeString:
    return format_html(
        '<span class="pools-badge pools-{}">{}</span>', _COLOURS[DeliveryState(state)], _(state)
    )
