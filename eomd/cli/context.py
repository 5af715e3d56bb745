"""What every command shares: the configuration file in use, and settings read when first needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eomd.errors import ConfigurationError, EomdError, FolderInUseError

if TYPE_CHECKING:
    from eomd.config import Settings

#: no retry helps: systemd's unit names it in RestartPreventExitStatus
EXIT_CONFIGURATION = os.EX_CONFIG
#: another process holds what this one needs; trying again later may succeed
EXIT_IN_USE = os.EX_TEMPFAIL

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Context:
    """Passed to commands by `@click.pass_obj`."""

    #: of `-c`, wherever it stood
    config: Path | None = None

    @cached_property
    def settings(self) -> Settings:
        """Raises ConfigurationError."""
        from eomd.config import load_settings

        return load_settings(self.config, os.environ)

    @cached_property
    def data_dir(self) -> Path:
        """The data folder, also where the configuration is wrong: what runs must be reached then, too."""
        try:
            return self.settings.data_dir
        except ConfigurationError:
            from eomd.watchdog.good_copy import find_source, guess_data_dir

            return guess_data_dir(find_source(self.config, os.environ), os.environ)


def _take_config(context: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.ensure_object(Context).config = value


def config_option(command: F) -> F:
    """Add `-c FILE`: before the command's name and after it means the same."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        expose_value=False,
        callback=_take_config,
        help="The configuration file (EOMD_CONFIG).",
    )(command)


def complain(error: EomdError) -> None:
    """Say on stderr what is wrong, a line each."""
    for line in str(error).splitlines():
        click.echo(f"eomd: {line}", err=True)


def daemon(command: Callable[..., int]) -> Callable[..., int]:
    """Let a long-running command tell its supervisor by the exit code why it did not start."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> int:
        try:
            return command(*args, **kwargs)
        except ConfigurationError as error:
            complain(error)
            return EXIT_CONFIGURATION
        except FolderInUseError as error:
            complain(error)
            return EXIT_IN_USE

    return run
