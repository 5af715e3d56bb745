"""The names of files as they travel in headers: what a browser called a file, how ours is offered. No I/O."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

#: of an original name; with `-result` it still fits the 255 bytes of a file system in most scripts
CHARACTERS_MAX = 200
#: where a part has no usable name
NAMELESS = "source.csv"

_PARAMETER = re.compile(r';\s*([\w!#$%&\'*+.^`|~-]+)\s*=\s*("(?:\\["\\]|[^"])*"|[^;]*)')
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def parse_disposition(header: bytes) -> tuple[str, dict[str, str]]:
    """Return a Content-Disposition's kind and parameters, names in lower case.

    Browsers put raw UTF-8 between the quotes, old ones the machine's code page: the whole header is
    decoded first, because a GBK character's second byte may be a backslash.
    """
    text = _decode(header)
    kind = text.split(";", 1)[0].strip().lower()
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(text):
        found.setdefault(match[1].lower(), _unquote(match[2].strip()))
    return kind, found


def original_name(parameters: dict[str, str]) -> str | None:
    """Return the file's name without its folders; None where the part is not a file.

    `filename*` (RFC 8187) is preferred to `filename`.
    """
    extended = _decode_extended(parameters.get("filename*", ""))
    name = extended if extended is not None else parameters.get("filename")
    return None if name is None else clean_name(name)


def clean_name(name: str) -> str:
    """Return a name that is safe to keep and to offer again: no folders, nothing unprintable, not long."""
    last = _UNPRINTABLE.sub("", re.split(r"[\\/]", name)[-1]).strip()
    if last.strip(". ") == "":
        return NAMELESS
    if len(last) <= CHARACTERS_MAX:
        return last
    stem, dot, suffix = last.rpartition(".")
    if not dot or len(suffix) > 10:
        return last[:CHARACTERS_MAX]
    return stem[: CHARACTERS_MAX - len(suffix) - 1] + "." + suffix


def attachment(name: str) -> str:
    """Return a Content-Disposition that every browser saves under this name (RFC 6266).

    The plain parameter is for those that do not know the other: ASCII, an underscore for the rest.
    """
    safe = clean_name(name)
    plain = re.sub(r"[^A-Za-z0-9 ._()+,=@-]", "_", safe)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}"


def _decode(header: bytes) -> str:
    for encoding in ("utf-8", "gb18030"):
        try:
            return header.decode(encoding)
        except UnicodeDecodeError:
            continue
    return header.decode("latin-1")


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return re.sub(r'\\(["\\])', r"\1", value[1:-1])
    return value


def _decode_extended(value: str) -> str | None:
    charset, quote_1, rest = value.partition("'")
    _language, quote_2, encoded = rest.partition("'")
    if not quote_1 or not quote_2 or charset.lower() not in ("utf-8", "iso-8859-1", "gbk", "gb18030"):
        return None
    try:
        return unquote_to_bytes(encoded).decode(charset)
    except UnicodeDecodeError:
        return None
