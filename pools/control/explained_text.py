"""What becomes of a request, as plain text: the command prints it, the console shows it."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext_noop

from pools.control.explain import Candidate, Explained

ALL = 1_000_000


def text(found: Explained, *, most: int = ALL) -> str:
    """Lines that end with a line feed. `most`: of the routes passed over no more than these,
    which came closest to taking the request."""
    lines = [_request(found)]
    if found.pending:
        lines.append("Rows were changed that are not published; they are not seen here.")
    if found.reserved:
        return _whole([*lines, "The admin's own: no route is asked."])
    route = found.route
    if route is not None:
        hosts = ", ".join(route.spec.hosts) or "any host"
        lines.append(f"Route {route.name} takes it ({hosts}, {route.spec.path_prefix}).")
        lines.append(f"Pool {route.pool.name} gets it, as {found.sent_path.decode()}.")
    elif found.foreign:
        lines.append("A route that is not yours takes it.")
    else:
        lines.append("No route takes it.")
    passed_over = found.explanation.passed_over
    if len(passed_over) > most:
        passed_over = found.explanation.closest(most)
    lines += columns(
        ("passed over", "why"), [(other.route.name, other.reason) for other in passed_over]
    )
    if rest := len(found.explanation.passed_over) - len(passed_over):
        lines.append(f"and {rest} more, which are further from it")
    if found.hidden:
        lines.append(f"and {found.hidden} that are not yours")
    lines += columns(
        ("header", "value", "why"),
        [(field.name, field.value, field.why) for field in found.fields if field.sent],
    )
    lines += columns(
        ("left out", "value", "why"),
        [(field.name, field.value, field.why) for field in found.fields if not field.sent],
    )
    lines += columns(
        ("backend", "share", "state", "health", "weight", "why"),
        [
            (
                candidate.status.key,
                f"{candidate.share:.0%}",
                candidate.status.state.value,
                candidate.status.verdict.value,
                f"{candidate.weight}{' backup' if candidate.backup else ''}",
                why(candidate),
            )
            for candidate in found.candidates
        ],
    )
    if route is not None and not found.candidates:
        lines.append(f"Pool {route.pool.name} has no backends.")
    return _whole(lines)


def why(candidate: Candidate) -> str:
    """Why a backend gets no share, or what is overruled; "": there is nothing to say."""
    return candidate.status.why or ("" if candidate.share else gettext_noop("others are there"))


def columns(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows below their names, each column as wide as it needs; none where no row is."""
    if not rows:
        return []
    all_rows = [names, *rows]
    widths = [max(map(len, column)) for column in zip(*all_rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in all_rows
    ]


def _request(found: Explained) -> str:
    asked = found.asked
    path = asked.path.decode()
    return f"{asked.method} {asked.name or '(no host)'}{path}, revision {found.revision}"


def _whole(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
