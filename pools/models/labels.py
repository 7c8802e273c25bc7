"""Labels that are made of values, named for the catalogues of translations.

`parts.choices` makes "Round robin" of `round_robin`, and the console shows the values of
states as they are: where makemessages can find neither.
"""

from django.utils.translation import gettext_noop as _

LABELS = frozenset(
    {
        *(_("Always"), _("Auto"), _("Backend"), _("Backend down"), _("Beat"), _("Begun")),
        *(_("Certificate"), _("Client address"), _("Connect"), _("Consistent hash")),
        *(_("Cookie"), _("Down"), _("Drain"), _("Email"), _("Ended"), _("Error")),
        *(_("Failed"), _("Fixed"), _("Gateway"), _("Header"), _("Keep"), _("Lax")),
        *(_("Least requests"), _("Maint"), _("Never"), _("None"), _("Not probed"), _("Off")),
        *(_("Path"), _("Pending"), _("Pool empty"), _("Pool panic"), _("Power of two")),
        *(_("Preserve"), _("Random"), _("Ready"), _("Replace"), _("Round robin")),
        *(_("Sent"), _("Strict"), _("Strip"), _("Timeout"), _("Unknown"), _("Up")),
        *(_("Web"), _("Webhook"), _("Worker")),
    }
)

# Names, and what protocols are called everywhere.
SAME_EVERYWHERE = frozenset(
    {"Apprise", "HTTP", "HTTP 502", "HTTP 503", "HTTP 504", "HTTPS", "Slack", "TCP", "TLS"}
)

STATES = frozenset(
    {
        *(_("up"), _("down"), _("unknown")),
        *(_("ready"), _("drain"), _("maint")),
        *(_("pending"), _("sent"), _("failed")),
    }
)

# What a probe does, step by step.
STEPS = frozenset(
    {
        *(_("resolve"), _("connect"), _("tls handshake"), _("send"), _("first byte")),
        *(_("status"), _("body"), _("answer")),
    }
)
