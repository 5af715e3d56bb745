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

    def is_like(self, other: Launch) -> bool:
        """Tell whether a process started so would be one of the other's, whatever stands in the files."""
        return (self.command, self.environ) == (other.command, other.environ)


class Configuration:
    """What `eomd up` was called with, and what has become of it."""

    def __init__(
        self, charge: Charge, environ: Mapping[str, str], files: Files, problems: tuple[str, ...] = ()
    ) -> None:
        self.charge, self.environ = charge, environ
        #: why the configuration in use cannot be used; empty while it can
        self.problems = problems
        #: keys whose change waits for another watchdog
        self.needs_restart: list[str] = []
        #: what was read last
        self._files = files
        self._copy = find_copy(charge.folder) if charge.source else None
        #: what a server or we ourselves found wrong
        self._broken: Files | None = files if problems and charge.source else None

    @classmethod
    async def open(cls, config: Path | None, environ: Mapping[str, str]) -> Configuration:
        """Load the configuration, or what is known of it where it is broken.

        Raises ConfigurationError where it is broken and nothing ever ran with it.
        """
        source = find_source(config, environ)
        files = read_files(source)
        try:
            return cls(await load_charge(config, environ), environ, files)
        except ConfigurationError as error:
            copy = find_copy(guess_data_dir(source, environ) / "watchdog")
            if copy is None or copy.source != source:
                raise
            charge = await load_charge(copy.config, {**environ, **copy.environ})
            return cls(replace(charge, source=source), environ, files, error.problems)

    @property
    def source(self) -> Path:
        """The file in use, whether it is there or not."""
        return self.charge.source or find_source(None, self.environ)

    @property
    def has_copy(self) -> bool:
        """Whether there is a configuration that a server ran with."""
        return self._copy is not None

    @property
    def _fixed(self) -> Mapping[str, str]:
        """The environment that keeps the data folder as long as this watchdog lives."""
        return {**self.environ, "EOMD_DATA_DIR": str(self.charge.data_dir)}

    def has_changed(self) -> bool:
        """Tell whether the files are others than those read last. Blocks."""
        return read_files(self.source) != self._files

    async def load(self) -> None:
        """Read the configuration again.

        Raises ConfigurationError where it is wrong, EomdError where it could not be read; what was good
        before stays then.
        """
        self._files = read_files(self.source)
        try:
            charge = await load_charge(self.charge.source, self.environ)
            stated = {"data_dir": charge.data_dir, "server.listen": charge.listen}
            if charge.data_dir != self.charge.data_dir:
                charge = await load_charge(self.charge.source, self._fixed)
        except ConfigurationError as error:
            self.refuse_loaded(error.problems)
            raise
        fixed = {"data_dir": self.charge.data_dir, "server.listen": self.charge.listen}
        self.needs_restart = [key for key, value in stated.items() if value != fixed[key]]
        self.charge = replace(charge, listen=self.charge.listen)
        self.problems, self._broken = (), None

    def refuse_loaded(self, problems: tuple[str, ...]) -> None:
        """Note that what was read last cannot be used."""
        self.problems, self._broken = problems, self._files

    def prove_loaded(self, writer: Writer) -> None:
        """A server has taken over what was read last: keep a copy."""
        if self.charge.source is not None:
            self._keep_later(self._files, writer)

    def launch(self) -> Launch:
        """Return how to start a server now."""
        source = self.charge.source
        files = read_files(source) if source else {}
        if self._copy and files == self._broken:
            return _from_copy(self._copy, self.environ)
        return Launch(eomd_command("serve", source), self._fixed, files)

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
        if self._broken in (None, launch.files):
            self.problems, self._broken = (), None
        self._keep_later(launch.files, writer)

    def _keep_later(self, files: Files, writer: Writer) -> None:
        if self._copy is None or self._copy.files != files:
            writer.later(self._keep, files)

    def _keep(self, files: Files) -> None:
        keep_copy(self.charge.folder, files, self.charge)
        self._copy = find_copy(self.charge.folder)


def _from_copy(copy: GoodCopy, environ: Mapping[str, str]) -> Launch:
    command = eomd_command("serve", copy.config)
    return Launch(command, {**environ, **copy.environ}, copy.files, from_copy=True)
