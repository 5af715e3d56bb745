"""What running operations share: executors, files, the ledger's recorder, and who wants to be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from eomd.evt.codec import U8
from eomd.model import EidDefinition, Operation
from eomd.operations.rules import Rules
from eomd.storage.files import DataFolder
from eomd.storage.recorder import Recorder


@dataclass(frozen=True, slots=True)
class Executors:
    """The threads for what computes or blocks; each has one purpose, so that none waits behind another."""

    #: reading and checking files handed in
    reading: ThreadPoolExecutor
    #: blocks of running operations: loading, writing, syncing
    running: ThreadPoolExecutor
    #: downloads, samples and summaries
    serving: ThreadPoolExecutor

    @classmethod
    def create(cls) -> Executors:
        return cls(
            ThreadPoolExecutor(2, thread_name_prefix="reading"),
            ThreadPoolExecutor(3, thread_name_prefix="running"),
            ThreadPoolExecutor(4, thread_name_prefix="serving"),
        )

    def close(self) -> None:
        for executor in (self.reading, self.running, self.serving):
            executor.shutdown(wait=True, cancel_futures=True)


def _nobody(*_: object) -> None:
    return None


@dataclass(slots=True)
class Tools:
    """Handed to every runner."""

    data: DataFolder
    recorder: Recorder
    executors: Executors
    rules: Rules
    #: the EID definitions of a cluster, for dry runs
    definitions: Callable[[str], Mapping[int, EidDefinition]]
    #: told of every new view of an operation
    changed: Callable[[Operation], None] = field(default=_nobody)
    #: told of every answered block: cluster, uint8[n] row statuses
    answered: Callable[[str, U8], None] = field(default=_nobody)
    #: how many segments one operation may hold, by how many run now
    window_segments: Callable[[], int] = field(default=lambda: WINDOW_SEGMENTS)


#: segments in hand of one operation that runs alone
WINDOW_SEGMENTS = 8
