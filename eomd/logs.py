"""How eomd logs: one line a record on stderr, text for people and journals or JSON; secrets blotted out."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, quote_plus

#: what a record may carry beside its message
FIELDS = ("operation", "cluster", "operator")

_BLOT = "[secret]"
_PATTERNS = (
    re.compile(r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)\s+)[^\s\"',;]+"),
    re.compile(r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)(\b(?:password|passwd|pwd|token|secret)[\"']?\s*[:=]\s*[\"']?)[^\s\"',;]+"),
    re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)"),
    re.compile(r"(?i)(\b(?:set-)?cookie[\"']?\s*[:=]\s*[\"']?)[^\r\n\"']+"),
    re.compile(r"(?i)(\bx-xsrf-token[\"']?\s*[:=]\s*[\"']?)[^\s\"',;]+"),
    re.compile(r"(\benter#)[A-Za-z0-9_-]+"),
    # by their form alone: API tokens, what is kept of passwords, private keys
    re.compile(r"(\beomd_)[A-Za-z0-9_-]{43}\b"),
    re.compile(r"(\$argon2[a-z]*\$)[A-Za-z0-9+/=,$]+"),
    re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----)[^-]*"),
)


def set_up_logging(level: str, form: str, secrets: Iterable[str] = ()) -> None:
    """Log to stderr from now on. `form` is `text` or `json`; `secrets` never appear, whoever logs them."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = JsonFormatter if form == "json" else TextFormatter
    handler.setFormatter(formatter(tuple(secret for secret in secrets if secret)))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level.upper())
    # what these have to say below a warning is about themselves
    for name in ("asyncio", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # a connection that comes back to the pool and is gone: the ledger says so itself, once
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)


class _Redacting(logging.Formatter):
    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        # the longest first: one may be a part of another
        spelled = {form for secret in secrets for form in _spellings(secret)}
        self._secrets = sorted(spelled, key=len, reverse=True)

    def redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _BLOT)
        for pattern in _PATTERNS:
            text = pattern.sub(rf"\g<1>{_BLOT}", text)
        return text

    def _traceback(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""


def _spellings(secret: str) -> set[str]:
    """Return the forms in which a secret comes into a text: as it is, in a URL, in JSON, in Python."""
    quoted = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return {secret, *quoted, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1],
            repr(secret)[1:-1]}  # fmt: skip


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    return {name: record.__dict__[name] for name in FIELDS if record.__dict__.get(name) is not None}


def _time_of(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


class TextFormatter(_Redacting):
    """`TIME LEVEL logger: message operation=12 cluster=fish`; a traceback follows indented."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage().replace("\n", "\\n")
        fields = "".join(f" {name}={value}" for name, value in _fields_of(record).items())
        trace = self._traceback(record)
        after = "\n    " + trace.replace("\n", "\n    ") if trace else ""
        return self.redact(f"{_time_of(record)} {record.levelname} {record.name}: {message}{fields}{after}")


class JsonFormatter(_Redacting):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.redact(record.getMessage()),
            **{
                name: self.redact(value) if isinstance(value, str) else value
                for name, value in _fields_of(record).items()
            },
        }
        trace = self._traceback(record)
        if trace:
            entry["traceback"] = self.redact(trace)
        return json.dumps(entry, ensure_ascii=False, default=str)
