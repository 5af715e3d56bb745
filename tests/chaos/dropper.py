"""The night job: drops files into the inbox, finished ones and written in place, good and bad."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Lock, Thread

from tests.chaos.complaints import Complaints
from tests.chaos.disk import Disk
from tests.chaos.hand_ins import Drawer, HandIn

PAUSE_S = 0.8
LARGE_SHARE = 0.03
BAD_SHARE = 0.05
#: those that are always there: a file for another one would be refused
CLUSTERS = ("fish", "label")


class Dropper:
    """One thread that drops until `close`, and everything that was dropped by it or through it."""

    def __init__(self, inbox: Path, disk: Disk, seed: int, complaints: Complaints) -> None:
        self._inbox, self._disk, self._complaints = inbox, disk, complaints
        self._drawer = Drawer("dropper", (seed, 1000), CLUSTERS, LARGE_SHARE)
        self._bursts = Drawer("burst", (seed, 1001), CLUSTERS)
        self.dropped: list[HandIn] = []
        self._lock = Lock()
        self._closing = Event()
        self._thread = Thread(target=self._guard, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def burst(self, count: int) -> list[HandIn]:
        """Drop many small files at once."""
        drawn = [self._bursts.draw(rows=1 + n % 3) for n in range(count)]
        for asked in drawn:
            self._drop(asked, whole=True)
        return drawn

    def _guard(self) -> None:
        try:
            while not self._closing.wait(PAUSE_S):
                self._drop_one()
        except Exception as error:
            self._complaints.add(f"the rig's dropper broke: {error!r}")
            raise

    def _drop_one(self) -> None:
        asked = self._drawer.draw()
        content = None
        if self._drawer.chance(BAD_SHARE):
            asked.refused = "its rows are no numbers"
            content = "userid,amount\nnobody,nothing\n"
        self._drop(asked, whole=self._drawer.chance(0.5), content=content)
        if asked.mode is not None and self._drawer.chance(BAD_SHARE) and not asked.refused:
            self._repeat(asked)

    def _repeat(self, asked: HandIn) -> None:
        """Drop the same change under another name."""
        again = HandIn(
            f"{asked.key}-again", asked.cluster, asked.mode, asked.eids, asked.users, asked.amounts
        )
        again.twin = asked
        self._drop(again, whole=True)

    def _drop(self, asked: HandIn, whole: bool, content: str | None = None) -> None:
        """Write the file; `whole`: under another name first. A full disk is waited for, as a job would."""
        asked.dropped = asked.name
        written = content or asked.content()
        while not self._write(self._inbox / asked.name, written, whole):
            self._closing.wait(PAUSE_S)
        with self._lock:
            self.dropped.append(asked)

    def _write(self, path: Path, content: str, whole: bool) -> bool:
        with self._disk.steady:
            # half a file that is closed is taken as it is, and rightly so
            if not whole and not self._disk.short:
                path.write_text(content)
                return True
        beside = path.with_name(f"{path.name}.part")
        try:
            beside.write_text(content)
            beside.rename(path)
        except OSError:
            beside.unlink(missing_ok=True)
            return False
        return True
