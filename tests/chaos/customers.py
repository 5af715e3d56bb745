"""Careful customers: they hand in over HTTP, ask again where no answer came, and follow it all."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from eomd.model import ENDED
from tests.chaos.complaints import Complaints
from tests.chaos.hand_ins import Drawer, HandIn, write_source
from tests.world import Answer, Client

CUSTOMERS = 5
#: handed in before the first of them is followed
BATCH_MAX = 3
PAUSE_S = 0.2
CANCEL_SHARE, PAUSE_SHARE = 0.03, 0.05
#: what says: not now, come again
LATER = {429, 503, 507}
#: of these, what says when
WITH_RETRY_AFTER = {429, 503}
_ENDED = {state.value for state in ENDED}


class Customers:
    """Several threads that hand in until `close`, and what all of them handed in."""

    def __init__(self, client: Client, folder: Path, seed: int, complaints: Complaints) -> None:
        self._client, self._folder, self._complaints = client, folder, complaints
        folder.mkdir()
        self.handed_in: list[HandIn] = []
        #: of requests: `answered`, `later` (come again), `broken` off, `refused` at the door
        self.counts: Counter[str] = Counter()
        self._lock = Lock()
        self._closing, self._given_up = Event(), Event()
        self._threads = [
            Thread(target=self._guard, args=(Drawer(f"customer{n}", (seed, n)),), daemon=True)
            for n in range(CUSTOMERS)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self, deadline_s: float) -> None:
        """Hand in no more, and follow all to their ends; complain of those that do not come."""
        self._closing.set()
        for thread in self._threads:
            thread.join(deadline_s)
        if any(thread.is_alive() for thread in self._threads):
            self._complaints.add(
                f"operations that were handed in had not ended {deadline_s:.0f} s after the last fault"
            )
        self._given_up.set()

    def hand_in(self, asked: HandIn) -> None:
        """Hand in, under one key however often that takes."""
        source = write_source(self._folder, asked)
        with self._lock:
            self.handed_in.append(asked)
        answer = self._ask(
            lambda: self._client.hand_in(source, key=asked.key, model=asked.model, **asked.config)
        )
        if answer is None:
            asked.refused = "given up"
        elif answer.status in (200, 201):
            asked.operation = int(answer.data["id"])
        else:
            asked.refused = f"{answer.status} {answer.body.decode(errors='replace')}"
            self._judge_refusal(asked)

    def _judge_refusal(self, asked: HandIn) -> None:
        # the cluster of clusters.d may have been away just then
        if not (asked.cluster == "late" and asked.refused.startswith("400") and "late" in asked.refused):
            self._complaints.add(f"{asked.key} was refused: {asked.refused}")

    def _guard(self, drawer: Drawer) -> None:
        try:
            while not self._closing.is_set():
                self._serve(drawer)
        except Exception as error:
            self._complaints.add(f"a customer of the rig broke: {error!r}")
            raise

    def _serve(self, drawer: Drawer) -> None:
        batch = [drawer.draw() for _ in range(BATCH_MAX)]
        for asked in batch:
            self.hand_in(asked)
        for asked in batch:
            if asked.operation is not None:
                self._intervene(asked, drawer)
                self._follow(asked)

    def _intervene(self, asked: HandIn, drawer: Drawer) -> None:
        if drawer.chance(CANCEL_SHARE):
            asked.cancelled = True
            self._act(asked, "cancel")
        elif drawer.chance(PAUSE_SHARE):
            self._pause(asked)

    def _pause(self, asked: HandIn) -> None:
        """Pause for a while, see that nobody else lifts it, and resume.

        Also after a 409: the answer to a pause that was done may have been lost, and this is the second one.
        """
        paused = self._act(asked, "pause") == 200
        self._closing.wait(10 * PAUSE_S)
        operation = self._look(asked)
        lifted = operation and operation["state"] not in _ENDED and operation["paused_by"] != "person"
        if paused and lifted:
            self._complaints.add(f"{asked.key} was paused by a person and is now {operation['state']}")
        self._act(asked, "resume")

    def _act(self, asked: HandIn, action: str) -> int:
        answer = self._ask(lambda: self._client.post(f"/operations/{asked.operation}/{action}"))
        if answer is not None and answer.status not in (200, 409):
            self._complaints.add(f"{action} of {asked.key}: {answer.status} {answer.body!r}")
        return answer.status if answer else 0

    def _follow(self, asked: HandIn) -> None:
        while not self._given_up.wait(PAUSE_S):
            operation = self._look(asked)
            if operation and operation["state"] in _ENDED:
                return

    def _look(self, asked: HandIn) -> Any:
        answer = self._ask(lambda: self._client.request("GET", f"/operations/{asked.operation}"))
        if answer is None:
            return None
        if answer.status != 200:
            self._complaints.add(
                f"operation {asked.operation} of {asked.key}: {answer.status} {answer.body!r}"
            )
            return {"state": "failed"}
        operation = answer.data
        if operation["description"] != asked.key:
            self._complaints.add(f"operation {asked.operation} of {asked.key} is {json.dumps(operation)}")
        return operation

    def _ask(self, request: Callable[[], Answer]) -> Answer | None:
        """Ask until something else than `later` is answered. None: the run is over."""
        while not self._given_up.is_set():
            answer = self._try(request)
            if answer is not None and answer.status not in LATER:
                return answer
            self._given_up.wait(PAUSE_S)
        return None

    def _try(self, request: Callable[[], Answer]) -> Answer | None:
        try:
            answer = request()
        except ConnectionRefusedError:
            self._count("refused")
            self._complaints.add("a connection was refused")
        except (OSError, http.client.HTTPException, ValueError):
            self._count("broken")
        else:
            self._count("later" if answer.status in LATER else "answered")
            if answer.status in WITH_RETRY_AFTER and "Retry-After" not in answer.headers:
                self._complaints.add(f"{answer.status} without Retry-After: {answer.body!r}")
            return answer
        return None

    def _count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1
