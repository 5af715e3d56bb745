"""Times as people read them: of this machine's clock, and how long something lasts."""

from __future__ import annotations

from datetime import datetime

MINUTE, HOUR, DAY = 60, 3600, 86400


def format_clock(moment: datetime, now: datetime) -> str:
    """Return a time of today as `14:02:11`, another one with its date."""
    local, today = moment.astimezone(), now.astimezone()
    form = "%H:%M:%S" if local.date() == today.date() else "%Y-%m-%d %H:%M"
    return local.strftime(form)


def format_span(seconds: float) -> str:
    """Return a time in its two largest units at most: `45 s`, `1 h 12 min`, `3 d 4 h`."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def span_since(since: str, now: datetime) -> str:
    """Return how long ago an RFC 3339 time was."""
    return format_span((now - datetime.fromisoformat(since)).total_seconds())
