"""Which bytes of a file a client wants (RFC 9110), judged by headers alone. No I/O."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})\s*-\s*([0-9]{0,18})\s*")


class UnsatisfiableRangeError(Exception):
    """The range lies outside of the file."""


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """Return (start, stop) of a single range; None, meaning the whole file, for several and for nonsense.

    Raises UnsatisfiableRangeError.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
        if match[2] and int(match[2]) < start:
            return None
    if start >= stop:
        raise UnsatisfiableRangeError
    return start, stop


def is_unchanged(none_match: str | None, modified_since: str | None, etag: str, modified: datetime) -> bool:
    """Tell whether the client's copy is the present file: If-None-Match, and If-Modified-Since without it."""
    if none_match is not None:
        found = re.findall(r'(?:W/)?("[^"]*")', none_match)
        return none_match.strip() == "*" or etag in found
    since = _parse_date(modified_since)
    return since is not None and modified.replace(microsecond=0) <= since


def range_holds(if_range: str | None, etag: str, modified: datetime) -> bool:
    """Tell whether the range is of the present file; where it is not the whole file is sent."""
    if if_range is None:
        return True
    return if_range.strip() == etag or if_range.strip() == format_date(modified)


def format_date(moment: datetime) -> str:
    """Return the time as HTTP writes it."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)


def _parse_date(text: str | None) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else None
