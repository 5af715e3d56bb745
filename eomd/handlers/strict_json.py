"""Reading JSON that a caller sent: what two readers might understand differently is refused. No I/O."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from eomd.errors import BadRequestError

#: levels of objects and lists in each other
DEPTH_MAX = 32


def decode_json(data: bytes, what: str) -> Any:
    """Return the value; `what` names it in the error's sentence. Integers keep every digit.

    Raises BadRequestError for bytes that are not UTF-8, for what is not JSON, and for NaN, infinities,
    repeated keys, numbers of thousands of digits and nesting deeper than DEPTH_MAX.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequestError(f"{what} is not UTF-8 (byte {error.start})") from error
    try:
        value = _decoder.decode(text)
    except RecursionError as error:
        raise _too_deep(what) from error
    except ValueError as error:
        raise BadRequestError(f"{what} is not JSON: {_reason(error)}") from error
    if _deeper_than(value, DEPTH_MAX):
        raise _too_deep(what)
    return value


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} (line {error.lineno}, column {error.colno})"
    # int() names a setting of Python's for a number of more than 4,300 digits
    return "a number is too long" if "integer string conversion" in str(error) else str(error)


def _too_deep(what: str) -> BadRequestError:
    return BadRequestError(f"{what} is nested deeper than {DEPTH_MAX} levels")


def _deeper_than(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper_than(item, levels - 1) for item in items)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:64]!r} stands there twice")
        found[key] = value
    return found


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_constant(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name[:32]} is not a number of JSON's")


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
