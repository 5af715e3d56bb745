"""Which configuration the server is started with: the one in use, or the last good one while it is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from eomd.errors import ConfigurationError
from eomd.watchdog.charge import Charge
from eomd.watchdog.charging import eomd_command, load_charge
from eomd.watchdog.good_copy import (
    Files,
    GoodCopy,
    find_copy,
    find_source,
    guess_data_dir,
    keep_copy,
    read_files,
)
from eomd.watchdog.writer import Writer


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server is started."""

    command: tuple[str, ...]
    environ: Mapping[str, str]
    #: the configuration's content, so far as it stands in files
    files: Files
    #: whether that is the last good copy
    from_copy: bool = False


class Configuration:
    """What `eomd up` was called with, and what has become of it."""

    def __init__(self, charge: Charge, environ: Mapping[str, str], problems: tuple[str, ...] = ()) -> None:
        self.charge, self.environ = charge, environ
        #: why the configuration in use cannot be used; empty while it can
        self.problems = problems
        self._copy = find_copy(charge.folder) if charge.source else None
        #: what a server or we ourselves found wrong
        self._broken: Files | None = read_files(charge.source) if problems and charge.source else None

    @classmethod
    async def open(cls, config: Path | None, environ: Mapping[str, str]) -> Configuration:
        """Load the configuration, or what is known of it where it is broken.

        Raises ConfigurationError where it is broken and nothing ever ran with it.
        """
        try:
            return cls(await load_charge(config, environ), environ)
        except ConfigurationError as error:
            source = find_source(config, environ)
            copy = find_copy(guess_data_dir(source, environ) / "watchdog")
            if copy is None or copy.source != source:
                raise
            charge = await load_charge(copy.config, {**environ, **copy.environ})
            return cls(replace(charge, source=source), environ, error.problems)

    @property
    def has_copy(self) -> bool:
        """Whether there is a configuration that a server ran with."""
        return self._copy is not None

    async def load(self) -> Charge:
        """Read the configuration again. Raises ConfigurationError, and what was good before stays."""
        self.charge = await load_charge(self.charge.source, self.environ)
        self.problems, self._broken = (), None
        return self.charge

    def launch(self, *flags: str) -> Launch:
        """Return how to start a server now."""
        source = self.charge.source
        files = read_files(source) if source else {}
        if self._copy and files == self._broken:
            return _from_copy(self._copy, self.environ, flags)
        return Launch(eomd_command("serve", source, *flags), self.environ, files)

    def refuse(self, launch: Launch, problem: str) -> bool:
        """Note that a server found its configuration wrong; tell whether another one can be tried."""
        self.problems = (problem,)
        if launch.from_copy or self._copy is None or self._copy.files == launch.files:
            return False
        self._broken = launch.files
        return True

    def prove(self, launch: Launch, writer: Writer) -> None:
        """A server runs well with it: keep a copy."""
        if launch.from_copy or self.charge.source is None:
            return
        self.problems, self._broken = (), None
        if self._copy is None or self._copy.files != launch.files:
            writer.later(self._keep, launch.files)

    def _keep(self, files: Files) -> None:
        keep_copy(self.charge.folder, files, self.charge)
        self._copy = find_copy(self.charge.folder)


def _from_copy(copy: GoodCopy, environ: Mapping[str, str], flags: tuple[str, ...]) -> Launch:
    command = eomd_command("serve", copy.config, *flags)
    return Launch(command, {**environ, **copy.environ}, copy.files, from_copy=True)
