"""Times and numbers as people and programs read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def moment(at: datetime) -> str:
    """A time as one compares it with a log, wherever one is: "2026-11-23 12:00:01 UTC"."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def counted(number: int, what: str) -> str:
    """ "1 day", "2 days"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def duration(lasted: timedelta) -> str:
    """ "45 s", "3 min 10 s", "2 h 5 min", "3 d 4 h": the two largest units."""
    seconds = max(int(lasted.total_seconds()), 0)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    first = next((at for at, (count, _) in enumerate(parts) if count), len(parts) - 1)
    shown = (part for part in parts[first : first + 2] if part[0] or part == parts[first])
    return " ".join(f"{count} {unit}" for count, unit in shown)
