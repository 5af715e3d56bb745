"""How the inbox's folder looks inside and what names mean there; watchdog and server agree here. No I/O.

    inbox/NAME            dropped, not taken yet      inbox/RECIPE/NAME
    inbox/.taken/TAKEN    claimed: TAKEN = TIME-NAME, never used twice, stands for one hand-in
    inbox/.refused/TAKEN  refused, with TAKEN.problems.txt beside it

Names are whatever the file system holds: bytes that are no UTF-8 travel as lone surrogates, also in JSON.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import UTC, datetime

TAKEN = ".taken"
REFUSED = ".refused"
OUTBOX = "outbox"
PROBLEMS = ".problems.txt"
#: of the inbox, its recipes' folders and the outbox: the group drops and fetches, files belong to the group
SHARED_MODE = 0o2770
#: of `.taken`: what is claimed is the group's to look at, and nobody's to change
TAKEN_MODE = 0o2750

#: of any file's name, in bytes
NAME_BYTES_MAX = 255
#: what a name is cut to, so that TIME-, the suffixes and the marks of a temporary file fit around it
DROPPED_BYTES_MAX = 200
_EXTENSION_BYTES_MAX = 16
_TAKEN = re.compile(r"\d{8}T\d{6}\.\d{9}Z-([^/\0]+)")
_UNFINISHED = (".part", ".tmp")


def is_unfinished(name: str) -> bool:
    """Tell whether a name says that its writer is not done: `.part`, `.tmp`, dot-names."""
    return name.startswith(".") or name.lower().endswith(_UNFINISHED)


def format_taken(time_ns: int, name: str) -> str:
    """Return the name under which a file dropped as `name` is taken at this time (since 1970)."""
    seconds, rest = divmod(time_ns, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{moment}.{rest:09}Z-{shorten(name)}"


def parse_taken(taken: str) -> str | None:
    """Return the NAME in a taken name; None for what is no taken name."""
    match = _TAKEN.fullmatch(taken)
    return match[1] if match and byte_length(taken) <= NAME_BYTES_MAX else None


def parse_taken_time(taken: str) -> datetime | None:
    """Return when a file was taken, by its taken name; None for what is no such time."""
    try:
        return datetime.strptime(taken[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def shorten(name: str, bytes_max: int = DROPPED_BYTES_MAX) -> str:
    """Return a name cut to so many bytes, whole characters, its extension kept."""
    if byte_length(name) <= bytes_max:
        return name
    stem, extension = _split(name)
    if byte_length(extension) > _EXTENSION_BYTES_MAX:
        stem, extension = name, ""
    while byte_length(stem + extension) > bytes_max:
        stem = stem[:-1]
    return stem + extension


def stem_of(name: str) -> str:
    """Return a name without its extension."""
    return _split(name)[0]


def _split(name: str) -> tuple[str, str]:
    """Return (stem, extension with its dot); fifty thousand names at once are too many for pathlib."""
    dot = name.rfind(".")
    return (name[:dot], name[dot:]) if 0 < dot < len(name) - 1 else (name, "")


def byte_length(name: str) -> int:
    return len(name.encode("utf-8", "surrogateescape"))


def hand_in_of(installation: bytes, taken: str) -> str:
    """Return the UUID of the hand-in that a claimed file is, however often it is offered."""
    digest = hashlib.sha1(installation + taken.encode("utf-8", "surrogateescape"), usedforsecurity=False)
    return str(uuid.UUID(bytes=digest.digest()[:16], version=5))
