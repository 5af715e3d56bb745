"""`eomd import-ini`: the old service's INI file, turned into eomd.toml and a password file."""

from __future__ import annotations

import os
from pathlib import Path

import click

from eomd.cli.context import config_option
from eomd.errors import ConfigurationError, EomdError

PASSWORD_NAME = "ledger-password"
FILE_BYTES_MAX = 1 << 20


@click.command("import-ini")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="The new configuration [default: standard output].")  # fmt: skip
@click.option("--password-file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Where the password goes [default: ledger-password beside --output].")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@config_option
def import_ini(file: Path, output: Path | None, password_file: Path | None, force: bool) -> None:
    """Turn the old service's INI file into eomd.toml.

    The password goes into a file that its owner alone can read, nowhere else.
    """
    from eomd.import_ini import decode_ini, format_toml, parse_ini

    try:
        old = parse_ini(decode_ini(_read(file)))
    except ConfigurationError as error:
        raise ConfigurationError(*(f"{file}: {problem}" for problem in error.problems)) from error
    if password_file is None and output is not None:
        password_file = output.with_name(PASSWORD_NAME)
    if not old.password:
        password_file = None
    text = format_toml(old, _refer(password_file, output))
    for path in (output, password_file):
        if path is not None and path.exists() and not force:
            raise EomdError(f"{path} is there already; --force overwrites it")
    if password_file is not None:
        write_whole(password_file, old.password + "\n", 0o600)
    if output is not None:
        write_whole(output, text, 0o644)
    else:
        click.echo(text, nl=False)
    _report(old.notes, [c.name for c in old.clusters], output, password_file, bool(old.password))


def _read(file: Path) -> bytes:
    with file.open("rb") as source:
        content = source.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise EomdError(f"{file} is too large for an INI file")
    return content


def _refer(password_file: Path | None, output: Path | None) -> str:
    """Return how the configuration names the password file: by its name alone where both stand together."""
    if password_file is None:
        return ""
    together = output is not None and output.absolute().parent == password_file.absolute().parent
    return password_file.name if together else str(password_file.absolute())


def write_whole(path: Path, text: str, mode: int) -> None:
    """Write beside the place, then rename: the mode is right from the first byte on."""
    if not path.parent.is_dir():
        raise EomdError(f"{path.parent} is not a folder")
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _report(
    notes: tuple[str, ...],
    names: list[str],
    output: Path | None,
    password_file: Path | None,
    has_password: bool,
) -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{len(names)} clusters: {', '.join(names)}", err=True)
    if password_file is not None:
        click.echo(f"the database's password is in {password_file} (mode 0600)", err=True)
    elif has_password:
        click.echo("the database's password was left out; --password-file FILE writes it", err=True)
    if output is not None:
        click.echo(f"written: {output}; next: eomd check -c {output}", err=True)
