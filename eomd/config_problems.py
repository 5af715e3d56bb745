"""What is wrong with a configuration, in words: where each key was written, and what was expected there.

`tomllib` keeps no positions, so the lines are found by a second, loose reading of text that it has accepted.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from eomd.config_tables import Tables

#: (server, listen), (clusters, fish, nodes, 0)
Keys = tuple[str | int, ...]

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""+|'
    r"'''.*?'''+|"
    r'"(?:\\.|[^"\\\n])*"|'
    r"'[^'\n]*'|"
    r"#[^\n]*|"
    r"[\[\]{}=\n]|"
    r"[^\S\n]+|"
    r"[^\s\"'#\[\]{}=]+",
    re.DOTALL,
)
_SECRET_KEYS = {"url", "password"}
_VALUE_CHARACTERS_MAX = 60

_EXPECTED = {
    "string_type": "expected text",
    "path_type": "expected text",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "tuple_type": "expected a list",
    "dict_type": "expected a table",
    "model_type": "expected a table",
    "model_attributes_type": "expected a table",
    "is_instance_of": "expected text",
    "dataclass_type": "expected text, host:port:connections",
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected {ge} or more",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected at most {le}",
    "literal_error": "expected {expected}",
    "enum": "expected {expected}",
    "string_too_short": "expected some text",
    "string_too_long": "expected at most {max_length} characters",
    "too_long": "expected at most {max_length} items",
    "value_error": "{error}",
}
_PATTERNS = {
    "clusters": "expected a cluster's name: a lower-case letter, then lower-case letters, digits and -",
    "table": "expected a table's name: letters, digits and _",
    "recipes": "expected a folder's name",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason not to start."""

    #: `FILE line N`, `environment NAME`, or empty
    place: str
    keys: Keys
    reason: str

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        name = format_keys(self.keys)
        return f"{where}{name}: {self.reason}" if name else f"{where}{self.reason}"


def format_keys(keys: Keys) -> str:
    """Return `[table] key`, list positions counted from 1: `[clusters.fish] nodes, item 2`."""
    names = [key for key in keys if isinstance(key, str)]
    items = "".join(f", item {key + 1}" for key in keys if isinstance(key, int))
    is_table = len(names) == 1 and names[0] in _TABLE_NAMES
    *tables, last = (*names, "") if is_table else names or ("",)
    table = f"[{'.'.join(tables)}]" if tables else ""
    return f"{table} {last}{items}".strip()


_TABLE_NAMES = {name for name in Tables.model_fields if name != "data_dir"}


class Places:
    """Where each key stands."""

    def __init__(self) -> None:
        self._known: dict[Keys, str] = {}

    def add_file(self, path: Path, text: str, under: Keys = ()) -> None:
        """Note the keys of a file whose content counts below `under`."""
        self._known[under] = str(path)
        for keys, line in find_lines(text):
            # a table's header names it first; what else comes back is an array of tables
            self._known.setdefault((*under, *keys), f"{path} line {line}")

    def add_environment(self, name: str, keys: Keys) -> None:
        self._known[keys] = f"environment {name}"

    def find(self, keys: Keys) -> str:
        """Return the place of the key, else of the nearest table around it."""
        for length in range(len(keys), -1, -1):
            if keys[:length] in self._known:
                return self._known[keys[:length]]
        return ""


def find_lines(text: str) -> Iterator[tuple[Keys, int]]:
    """Yield each table's and key's path with its line, from 1, of a text that is good TOML."""
    table: Keys = ()
    statement: list[str] = []
    depth, line, first = 0, 1, 1
    for match in _TOKEN.finditer(text + "\n"):
        token = match.group()
        if token == "\n" and depth == 0:
            keys, is_table = _read_statement(statement)
            if keys:
                table = keys if is_table else table
                yield (keys if is_table else (*table, *keys)), first
            statement = []
        elif not token.isspace() and not token.startswith("#"):
            first = first if statement else line
            statement.append(token)
            depth += (token in "[{") - (token in "]}")
        line += token.count("\n")


def _read_statement(tokens: Sequence[str]) -> tuple[Keys, bool]:
    """Return the keys that the statement names, and whether it is a table's header."""
    if not tokens:
        return (), False
    is_table = tokens[0] == "["
    named = [t for t in tokens if t not in "[]"] if is_table else tokens[: _position(tokens, "=")]
    # quoted parts are tokens of their own; bare ones may hold the dots
    written = "".join(named)
    return _keys_of(written), is_table


def _keys_of(written: str) -> Keys:
    """Let tomllib take a dotted key apart: quotes and escapes are its business."""
    keys: list[str | int] = []
    try:
        rest: Any = tomllib.loads(f"{written} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    while isinstance(rest, dict):
        ((key, rest),) = rest.items()
        keys.append(key)
    return tuple(keys)


def _position(tokens: Sequence[str], token: str) -> int:
    return tokens.index(token) if token in tokens else len(tokens)


def describe(error: ErrorDetails) -> tuple[Keys, str]:
    """Return the key and what was expected of it, for one finding of pydantic."""
    keys = tuple(key for key in error["loc"] if key != "[key]")
    kind = error["type"]
    if kind == "extra_forbidden":
        return keys, _describe_unknown(keys)
    if kind == "missing":
        return keys, "is missing"
    if kind == "string_pattern_mismatch":
        owner = next((str(key) for key in reversed(keys[:-1]) if key in _PATTERNS), str(keys[-1]))
        return keys, _PATTERNS.get(owner, error["msg"]) + _found(keys, error["input"])
    expected = _EXPECTED.get(kind, error["msg"]).format(**error.get("ctx", {}))
    if kind in ("literal_error", "enum"):
        expected = expected.replace("'", '"')
    return keys, expected + _found(keys, error["input"])


def _found(keys: Keys, value: Any) -> str:
    if isinstance(value, Mapping) or _SECRET_KEYS & set(keys):
        return ""
    shown = (
        f'"{value}"'
        if isinstance(value, str)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
    if len(shown) > _VALUE_CHARACTERS_MAX:
        shown = shown[: _VALUE_CHARACTERS_MAX - 1] + "…"
    return f", found {shown}"


def _describe_unknown(keys: Keys) -> str:
    """Say `unknown key` and what was probably meant."""
    *tables, name = (str(key) for key in keys)
    owner = model_at(tables)
    known = list(owner.model_fields) if owner else []
    close = get_close_matches(name.lower().replace("-", "_"), known, n=1)
    if close:
        return f"unknown key; did you mean {close[0]}?"
    elsewhere = [
        f"{key} in [{table}]"
        for table in sorted(_TABLE_NAMES)
        for key in get_close_matches(name, list(_fields_of(table)), n=1, cutoff=0.8)
    ]
    if elsewhere:
        return f"unknown key here; did you mean {' or '.join(elsewhere)}?"
    return f"unknown key; known here: {', '.join(known)}" if known else "unknown key"


def _fields_of(table: str) -> Mapping[str, Any]:
    model = model_at([table]) or model_at([table, "NAME"])
    return model.model_fields if model else {}


def model_at(tables: Sequence[str]) -> type[BaseModel] | None:
    """Return the model of a table; None where the path leads to none."""
    annotation: Any = Tables
    for key in tables:
        annotation = annotation_under(annotation, key)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def annotation_under(annotation: Any, key: str) -> Any:
    """Return the type of a table's key, or of a value in a dictionary of tables; None for an unknown one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(key)
        return field.annotation if field else None
    arguments = get_args(annotation)
    return arguments[1] if len(arguments) == 2 and isinstance(arguments[1], type) else None
