"""`eomd eids`: the counters' definitions, by hand or from a CSV."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import click

from eomd.cli.api_options import api_command
from eomd.cli.client import Client
from eomd.cli.context import config_option
from eomd.cli.table import format_table
from eomd.errors import EomdError, FileProblem, InvalidFileError

COLUMNS = ("cluster", "eid", "name", "unit", "minimum", "maximum", "editable")
REQUIRED = ("cluster", "eid")
FILE_BYTES_MAX = 16 << 20
_TRUTH = {"": True, "1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@click.group()
@config_option
def eids() -> None:
    """List, import and export the counters' definitions.

    A cluster that has any EID listed takes no others.
    """


@eids.command("list")
@click.option("--cluster", metavar="NAME")
@click.option("--json", "as_json", is_flag=True)
@api_command
def list_(client: Client, cluster: str | None, as_json: bool) -> None:
    """List the counters known."""
    found = _of_cluster(client.get("/nosdata")["eids"], cluster)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        click.echo(format_table([column.upper() for column in COLUMNS], [_cells(entry) for entry in found]))


@eids.command()
@click.option("--cluster", metavar="NAME")
@api_command
def export(client: Client, cluster: str | None) -> None:
    """Write the definitions as CSV, as `import` reads them."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_cells(entry) for entry in _of_cluster(client.get("/nosdata")["eids"], cluster))


@eids.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Remove what the file does not name.")
@api_command
def import_(client: Client, file: Path, replace: bool) -> None:
    """Take definitions from a CSV: cluster, eid; optionally name, unit, minimum, maximum, editable.

    What the file does not name stays as it is.
    """
    read = read_definitions(file)
    known = client.get("/nosdata")
    entries = {} if replace else {(entry["cluster"], entry["eid"]): entry for entry in known["eids"]}
    entries |= {(entry["cluster"], entry["eid"]): entry for entry in read}
    client.send("PUT", "/nosdata", {"clusters": known["clusters"], "eids": list(entries.values())})
    click.echo(f"{len(read)} definitions taken, {len(entries)} known now")


def _of_cluster(entries: list[dict[str, Any]], cluster: str | None) -> list[dict[str, Any]]:
    return [entry for entry in entries if cluster in (None, entry["cluster"])]


def _cells(entry: dict[str, Any]) -> list[object]:
    cells = [entry[column] for column in COLUMNS]
    return ["" if cell is None else str(cell).lower() if isinstance(cell, bool) else cell for cell in cells]


def read_definitions(file: Path) -> list[dict[str, Any]]:
    """Return the definitions in a CSV in UTF-8 or GB18030. Raises InvalidFileError with every problem."""
    reader = csv.DictReader(io.StringIO(_read_text(file), newline=""), strict=True)
    header = [name.strip().lower() for name in reader.fieldnames or ()]
    reader.fieldnames = header
    problems = [FileProblem(1, name, None, "unknown column") for name in header if name not in COLUMNS]
    problems += [
        FileProblem(1, name, None, "the column is missing") for name in REQUIRED if name not in header
    ]
    entries: list[dict[str, Any]] = []
    try:
        for row in reader if not problems else ():
            entries.append(_read_row(row, reader.line_num, problems))
    except csv.Error as error:
        problems.append(FileProblem(reader.line_num, None, None, str(error)))
    if problems:
        raise InvalidFileError(problems[: InvalidFileError.problems_listed_max], len(problems))
    return entries


def _read_text(file: Path) -> str:
    content = file.read_bytes()
    if len(content) > FILE_BYTES_MAX:
        raise EomdError(f"{file} is larger than {FILE_BYTES_MAX >> 20} MB")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise EomdError(f"{file} is neither UTF-8 nor GB18030")


def _read_row(row: dict[Any, Any], line: int, problems: list[FileProblem]) -> dict[str, Any]:
    cells = {name: (value or "").strip() for name, value in row.items() if name is not None}
    if None in row:
        problems.append(FileProblem(line, None, None, "more cells than columns"))
    entry: dict[str, Any] = {
        "cluster": cells["cluster"],
        "name": cells.get("name", ""),
        "unit": cells.get("unit", ""),
    }
    for name in ("eid", "minimum", "maximum"):
        text = cells.get(name, "")
        entry[name] = int(text) if text.lstrip("-").isdecimal() else None
        if entry[name] is None and (text or name == "eid"):
            problems.append(FileProblem(line, name, text, "expected a whole number"))
    editable = cells.get("editable", "").lower()
    if editable not in _TRUTH:
        problems.append(FileProblem(line, "editable", editable, "expected true or false"))
    entry["editable"] = _TRUTH.get(editable, True)
    if not entry["cluster"]:
        problems.append(FileProblem(line, "cluster", "", "must not be empty"))
    return entry
