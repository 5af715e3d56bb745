"""What a node's connections were asked in one turn of the loop, answered together.

A node that serves one row a request lives from this: what numpy costs a call is shared by all requests alike
that have come on any connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from eomd.errors import FrameError
from eomd.evt import bodies
from eomd.evt.bodies import RequestBatch
from eomd.evt.codec import U8
from eomd.evt.frame import ErrorCode, Frame, Hello
from eomd.evt.simulator.settings import SimulatorSettings
from eomd.model import Mode

if TYPE_CHECKING:
    from eomd.evt.simulator.connection import Connection


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the two ends of a connection have told each other."""

    hello: Hello
    #: WELCOME has promised that tokens are remembered
    idempotent: bool


Answer = Callable[[Greeting, RequestBatch], U8]


class Turn:
    """The requests read since the loop came round, by how they were greeted."""

    def __init__(self, settings: SimulatorSettings, answer: Answer) -> None:
        self._settings = settings
        self._answer = answer
        self._waiting: dict[Greeting, tuple[list[Frame], list[Connection]]] = {}

    def submit(self, connection: Connection, greeting: Greeting, requests: list[Frame]) -> None:
        """Take requests to be answered before anything else is read."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.work)
        frames, owners = self._waiting.setdefault(greeting, ([], []))
        frames += requests
        owners += [connection] * len(requests)

    def work(self) -> None:
        """Answer everything that was submitted."""
        waiting, self._waiting = self._waiting, {}
        for greeting, (frames, owners) in waiting.items():
            start = 0
            for run in bodies.group_requests(frames):
                stop = start + len(run)
                self._serve(greeting, run, owners[start:stop])
                start = stop
            for connection in set(owners):
                connection.flush()

    def _serve(self, greeting: Greeting, run: list[Frame], owners: list[Connection]) -> None:
        """Answer requests that are alike, unless their connection has ended by one before them."""
        if any(owner.deaf for owner in set(owners)):
            listening = [not owner.deaf for owner in owners]
            run = [item for item, still in zip(run, listening, strict=True) if still]
            owners = [owner for owner, still in zip(owners, listening, strict=True) if still]
        if not run:
            return
        try:
            batch = self._decode(run)
        except FrameError as error:
            self._refuse_malformed(greeting, run, owners, str(error))
            return
        if reason := self._reason_against(greeting.hello, batch):
            for (_, request, _), owner in zip(run, owners, strict=True):
                owner.refuse(request, ErrorCode.TOO_MANY_ROWS, reason)
            return
        _send_replies(self._answer(greeting, batch), owners)

    def _decode(self, run: list[Frame]) -> RequestBatch:
        batch = bodies.decode_requests(run)
        if batch.head.mode is Mode.RESTORE and not self._settings.restore:
            raise FrameError("mode 4 is not served")
        return batch

    def _refuse_malformed(
        self, greeting: Greeting, run: list[Frame], owners: list[Connection], reason: str
    ) -> None:
        if len(run) == 1:
            owners[0].end(run[0][1], ErrorCode.MALFORMED, reason)
            return
        # one of them is wrong: each for itself, so that only its connection suffers
        for item, owner in zip(run, owners, strict=True):
            self._serve(greeting, [item], [owner])

    def _reason_against(self, hello: Hello, batch: RequestBatch) -> str:
        n, max_rows = batch.rows_each, self._settings.max_rows
        if n > max_rows:
            return f"{n} rows are over max_rows {max_rows}"
        if bodies.reply_shape(batch.head.mode, n, len(batch.head.eids)).size > hello.max_frame:
            return f"the reply to {n} rows is over your max_frame {hello.max_frame}"
        return ""


def _send_replies(replies: U8, owners: list[Connection]) -> None:
    start = 0
    for owner, group in groupby(owners):
        stop = start + sum(1 for _ in group)
        owner.send_replies(replies[start:stop])
        start = stop
