"""What happens to the configuration's files is heard of at once, and nothing else is."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from eomd.watchdog import inotify
from eomd.watchdog.config_events import ConfigEvents
from eomd.watchdog.config_stamp import take_look
from tests.on_loop import on_loop

DEADLINE_S = 30.0


class Listener:
    """Follows `eomd.toml` and `clusters.d/` in a folder; counts what it is told."""

    def __init__(self, folder: Path) -> None:
        self.file, self.clusters = folder / "eomd.toml", folder / "clusters.d"
        self.told, self._stirred = 0, asyncio.Event()
        self._events = ConfigEvents(self._stir)

    def _stir(self) -> None:
        self.told += 1
        self._stirred.set()

    async def follow(self) -> None:
        _, folders = take_look([self.file], self.clusters)
        await self._events.follow(folders, [self.file], self.clusters)

    async def follows_anew(self) -> None:
        """Follow; what came before a folder was watched has to be looked for."""
        self._stirred.clear()
        await self.follow()
        assert self._stirred.is_set()

    async def hears(self, what: Callable[[], object]) -> None:
        """Do that; return once it was heard of."""
        self._stirred.clear()
        what()
        async with asyncio.timeout(DEADLINE_S):
            await self._stirred.wait()

    def close(self) -> None:
        self._events.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clusters.d").mkdir()
    (tmp_path / "eomd.toml").write_text("")
    return tmp_path


def rename_over(path: Path) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.write_text("x = 1")
    beside.rename(path)


@on_loop
async def test_whatever_happens_to_the_files_is_heard_of(folder: Path) -> None:
    listener = Listener(folder)
    await listener.follows_anew()
    file, cluster = listener.file, listener.clusters / "fish.toml"
    for what in (
        lambda: file.write_text("x = 1"),
        lambda: rename_over(file),
        lambda: file.chmod(0o600),
        file.unlink,
        lambda: file.symlink_to("elsewhere.toml"),
        lambda: cluster.write_text("x = 1"),
        lambda: rename_over(cluster),
        lambda: cluster.rename(cluster.with_name("fish.off")),
        lambda: cluster.with_name("fish.off").rename(cluster),
        cluster.unlink,
    ):
        await listener.hears(what)
    listener.close()


@on_loop
async def test_what_happens_beside_the_files_is_not_heard_of(folder: Path) -> None:
    listener = Listener(folder)
    await listener.follows_anew()
    await listener.follow()
    told = listener.told
    (folder / "server.log").write_text("")
    (folder / "eomd.toml.part").write_text("")
    (folder / "data").mkdir()
    (listener.clusters / "README").write_text("")
    await listener.hears(lambda: listener.file.chmod(0o600))
    await listener.hears(lambda: (listener.clusters / "fish.toml").symlink_to("elsewhere.toml"))
    assert listener.told == told + 2
    listener.close()


@on_loop
async def test_a_folder_may_come_late_go_and_come_again(folder: Path) -> None:
    listener = Listener(folder)
    listener.clusters.rmdir()
    await listener.follow()
    await listener.hears(listener.clusters.mkdir)
    await listener.follows_anew()
    await listener.hears(lambda: (listener.clusters / "fish.toml").write_text(""))
    await listener.hears(lambda: shutil.rmtree(listener.clusters))
    await listener.follow()
    await listener.hears(listener.clusters.mkdir)
    await listener.follows_anew()
    await listener.hears(lambda: (listener.clusters / "fish.toml").write_text(""))

    def exchange() -> None:
        (folder / "other").mkdir()
        listener.clusters.rename(folder / "former")
        (folder / "other").rename(listener.clusters)

    await listener.hears(exchange)
    await listener.follows_anew()
    await listener.hears(lambda: (listener.clusters / "fish.toml").write_text(""))
    listener.close()


@on_loop
async def test_without_watches_it_is_told_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left(*_: object) -> None:
        raise OSError("no watches left")

    listener = Listener(folder)
    with monkeypatch.context() as patched:
        patched.setattr(inotify.FolderEvents, "watch", none_left)
        await listener.follow()
        await listener.follow()
    assert [record.message for record in caplog.records] == [
        "changes of the configuration are noticed late: no watches left"
    ]
    await listener.follows_anew()
    await listener.hears(lambda: listener.file.write_text("x = 1"))
    listener.close()
