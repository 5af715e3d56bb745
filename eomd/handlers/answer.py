"""How an answer looks: the envelope, and the one table from an error to its HTTP status. Sends nothing."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from eomd.errors import (
    EomdError,
    GoneError,
    InvalidConfigError,
    InvalidFileError,
    LooksRepeatedError,
    RequestError,
    TooBusyError,
    TooLargeError,
    UnavailableError,
    WrongStateError,
)
from eomd.handlers.views import earlier_view

#: the largest integer that JavaScript holds exactly
SAFE_INTEGER_MAX = 2**53 - 1


class Status(NamedTuple):
    """An error's HTTP status and its number in the envelope."""

    http: int
    number: int


#: by the error's code
STATUSES: dict[str, Status] = {
    "BAD_REQUEST": Status(400, 40001),
    "INVALID_CONFIG": Status(400, 40002),
    "INVALID_FILE": Status(400, 40003),
    "UNAUTHENTICATED": Status(401, 40101),
    "FORBIDDEN": Status(403, 40301),
    "NOT_FOUND": Status(404, 40401),
    "METHOD_NOT_ALLOWED": Status(405, 40501),
    "WRONG_STATE": Status(409, 40901),
    "KEY_REUSED": Status(409, 40902),
    "LOOKS_REPEATED": Status(409, 40903),
    "GONE": Status(410, 41001),
    "TOO_LARGE": Status(413, 41301),
    "QUEUE_FULL": Status(429, 42901),
    "TOO_MANY_ATTEMPTS": Status(429, 42902),
    "INTERNAL": Status(500, 50001),
    "LEDGER_UNAVAILABLE": Status(503, 50301),
    "DRAINING": Status(503, 50302),
    "STOPPED": Status(503, 50303),
    "TOO_BUSY": Status(503, 50304),
    "DISK_FULL": Status(507, 50701),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that says no."""

    code: str
    message: str
    data: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def http(self) -> int:
        return STATUSES[self.code].http

    def envelope(self) -> dict[str, Any]:
        return {
            "code": STATUSES[self.code].number,
            "error": self.code,
            "msg": self.message,
            "data": self.data,
        }


def success(data: object) -> dict[str, Any]:
    """Return the envelope of an answer that says yes."""
    return {"code": 0, "msg": "ok", "data": data}


def failure_of(error: EomdError) -> Failure:
    """Return the answer to an error raised on purpose; one without a row in the table is INTERNAL."""
    if error.code not in STATUSES or not isinstance(error, RequestError | UnavailableError):
        return internal_failure()
    return Failure(error.code, str(error), _facts(error), _headers(error))


def internal_failure() -> Failure:
    """Return an answer that gives nothing away but the reference under which the log has the story."""
    reference = secrets.token_hex(6)
    return Failure(
        "INTERNAL",
        f"something went wrong inside eomd; the log has it under reference {reference}",
        {"reference": reference},
    )


def method_not_allowed(method: str, allowed: list[str]) -> Failure:
    """Return the answer to a method that the path does not have."""
    listed = ", ".join(allowed)
    return Failure(
        "METHOD_NOT_ALLOWED", f"{method[:16]} is not possible here, only {listed}", {"allowed": allowed},
        {"Allow": listed},
    )  # fmt: skip


def encode(envelope: object, *, bigint_as_string: bool = False) -> bytes:
    """Return JSON in UTF-8. A lone surrogate cannot be UTF-8 and becomes a question mark."""
    if bigint_as_string:
        envelope = spell_bigints(envelope)
    text = json.dumps(envelope, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", errors="replace")


def spell_bigints(value: Any) -> Any:
    """Return a copy in which every integer that JavaScript cannot hold exactly is a string."""
    if isinstance(value, dict):
        return {key: spell_bigints(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [spell_bigints(item) for item in value]
    if isinstance(value, int) and abs(value) > SAFE_INTEGER_MAX:
        return str(value)
    return value


def _facts(error: EomdError) -> dict[str, Any]:
    match error:
        case InvalidFileError():
            problems = [asdict(problem) for problem in error.problems]
            return {"problems": problems, "total_problems": error.total_problems}
        case InvalidConfigError():
            return {"problems": [asdict(problem) for problem in error.problems]}
        case TooLargeError():
            return {"limit": error.limit, "value": error.limit_value}
        case GoneError():
            return {"removed": error.removed.isoformat()}
        case WrongStateError():
            return {"operation": error.operation, "state": error.state, "action": error.action}
        case LooksRepeatedError():
            return {"repeats": [each.id for each in error.earlier], "earlier": earlier_view(error.earlier)}
        case TooBusyError():
            facts = {"limit": error.limit, "value": error.limit_value}
            return {**facts, "retry_after_s": error.retry_after_s}
        case UnavailableError():
            return {"retry_after_s": error.retry_after_s}
    return {}


def _headers(error: EomdError) -> dict[str, str]:
    if isinstance(error, UnavailableError):
        return {"Retry-After": str(error.retry_after_s)}
    if error.code == "UNAUTHENTICATED":
        return {"WWW-Authenticate": 'Bearer realm="eomd"'}
    return {}
