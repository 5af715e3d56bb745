"""Any series of changes, plans, commits, undos and retries: counters, results and journal agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from eomd.evt.simulator import Faults, SimulatedCluster, SimulatorSettings, UserRange
from tests.integration.http_site import CONFIG, Site, open_site

#: of one series; each has users of its own, so that it finds the same whenever it is run again
USERS = 8
SERIES_MAX = 100_000
#: stands for a user whom the cluster does not know
STRANGER = USERS
EID = 1001
INVERSE = {"inc": "dec", "dec": "inc", "set": "restore", "restore": "restore"}


def changed(mode: str, value: int, amount: int) -> int:
    return {"inc": value + amount, "dec": value - amount, "set": amount}[mode]


users = st.lists(st.integers(0, STRANGER), min_size=1, max_size=6)
amounts = st.integers(0, 9)


@dataclass(eq=False)
class Done:
    """An operation that has ended, as the model knows it."""

    id: int
    mode: str
    #: (user, before, after) of the rows that were applied
    rows: list[tuple[int, int, int]]
    #: (user, what it would have to find, what it would leave) of the rows that a retry takes
    failed: list[tuple[int, int | None, int | None]]
    succeeded: bool
    undoes: Done | None = None
    undone_by: Done | None = None
    retries: Done | None = None
    retried_by: Done | None = None
    #: an undo that does not count any more: its parent may be undone again
    freed: bool = False

    @property
    def given_up(self) -> bool:
        return self.freed or (self.retries is not None and self.retries.given_up)

    @property
    def superseded(self) -> bool:
        return self.undoes is not None and self.undoes.given_up

    def is_undone(self) -> bool:
        undo = self.undone_by
        undone = undo is not None and undo.succeeded and undo.undone_by is None
        return undone and self.retry_left_nothing()

    def retry_left_nothing(self) -> bool:
        retry = self.retried_by
        if retry is None:
            return True
        return retry.is_undone() if retry.rows else retry.retry_left_nothing()


class Series(RuleBasedStateMachine):
    """Drives one server; the model is a dictionary of counters."""

    site: ClassVar[Site]
    fish: ClassVar[SimulatedCluster]
    series: ClassVar[Iterator[int]]

    operations = Bundle("operations")
    plans = Bundle("plans")

    def __init__(self) -> None:
        super().__init__()
        first = 1 + USERS * next(self.series)
        #: by the numbers that are drawn
        self.users = [*range(first, first + USERS), USERS * SERIES_MAX + 1]
        self.held = dict.fromkeys(range(USERS), 0)
        self.committed: dict[int, Done] = {}
        self.start_sum, self.start_journal = self._sum(), self._journal_sum()

    def _read(self) -> dict[int, int]:
        return dict(enumerate(self.fish.values([EID], self.users[:USERS])[:, 0].tolist()))

    def _sum(self) -> int:
        return int(self.fish.values([EID], range(1, 1 + USERS * SERIES_MAX)).sum())

    def _journal_sum(self) -> int:
        return sum(int((block.after - block.before).sum()) for block in self.fish.journal())

    # --- what is done

    @rule(target=operations, mode=st.sampled_from(["inc", "dec", "set"]), chosen=users, amount=amounts)
    def change(self, mode: str, chosen: list[int], amount: int) -> Done:
        return self._apply(self._hand_in(mode, chosen, amount), mode, dict.fromkeys(chosen, amount))

    @rule(target=plans, mode=st.sampled_from(["inc", "dec", "set"]), chosen=users, amount=amounts)
    def plan(
        self, mode: str, chosen: list[int], amount: int
    ) -> tuple[int, str, dict[int, int], dict[int, int]]:
        chosen = list(dict.fromkeys(chosen))
        view = self._hand_in(mode, chosen, amount, dry_run=True)
        return view["id"], mode, dict.fromkeys(chosen, amount), dict(self.held)

    @rule(target=operations, plan=plans, strict=st.booleans())
    def commit(self, plan: tuple[int, str, dict[int, int], dict[int, int]], strict: bool) -> Done:
        identity, mode, wanted, read = plan
        answer = self.site.request(
            "POST", f"/operations/{identity}/commit", json_body={"only_if_unchanged": strict}
        )
        if identity in self.committed:
            assert (answer.status, answer.data["id"]) == (200, self.committed[identity].id)
            return self.committed[identity]
        assert answer.status == 201, answer.body
        view = self.site.ended(answer.data["id"])
        moved = {user for user in wanted if strict and self.held.get(user) != read.get(user)}
        left = {user: amount for user, amount in wanted.items() if user not in moved}
        done = self._apply(view, mode, left, moved=len(moved))
        # what the plan has ruled out is not tried again
        done.failed = [(user, read[user], changed(mode, read[user], wanted[user])) for user in moved]
        self.committed[identity] = done
        return done

    @rule(target=operations, parent=operations)
    def undo(self, parent: Done) -> Done:
        answer = self.site.request("POST", f"/operations/{parent.id}/undo")
        former = parent.undone_by
        if former is not None and not former.is_undone():
            assert (answer.status, answer.data["id"]) == (200, former.id)
            return former
        if parent.superseded or not parent.rows:
            assert answer.status == 409, answer.body
            return parent
        assert answer.status == 201, answer.body
        if former is not None:
            former.freed = True
        view = self.site.ended(answer.data["id"])
        done = self._give_back(view, parent)
        parent.undone_by, done.undoes = done, parent
        return done

    @rule(target=operations, parent=operations)
    def retry(self, parent: Done) -> Done:
        answer = self.site.request("POST", f"/operations/{parent.id}/retry")
        if parent.retried_by is not None:
            assert (answer.status, answer.data["id"]) == (200, parent.retried_by.id)
            return parent.retried_by
        if parent.given_up or not parent.failed:
            assert answer.status == 409, answer.body
            return parent
        assert answer.status == 201, answer.body
        done = self._try_again(self.site.ended(answer.data["id"]), parent)
        parent.retried_by, done.retries = done, parent
        return done

    # --- what must come of it

    def _give_back(self, view: Any, parent: Done) -> Done:
        mode, rows, failed = INVERSE[parent.mode], [], []
        for user, before, after in parent.rows:
            now = self.held[user]
            if mode == "restore" and now != after:
                failed.append((user, after, before))
                continue
            self.held[user] = before if mode == "restore" else now - (after - before)
            rows.append((user, now, self.held[user]))
        assert view["rows"]["failed"] == len(failed)
        assert view["rows"]["ok"] == len(rows)
        return Done(view["id"], mode, rows, failed, succeeded=not failed)

    def _try_again(self, view: Any, parent: Done) -> Done:
        rows, failed = [], []
        for user, found, left in parent.failed:
            if user == STRANGER or left is None or self.held[user] != found:
                failed.append((user, found, left))
                continue
            rows.append((user, self.held[user], left))
            self.held[user] = left
        assert view["rows"]["failed"] == len(failed)
        assert view["rows"]["ok"] == len(rows)
        return Done(view["id"], parent.mode, rows, failed, succeeded=not failed)

    def _apply(self, view: Any, mode: str, wanted: dict[int, int], moved: int = 0) -> Done:
        rows, source = [], self.site.data.source(view["id"]).read_text().split()
        for user, amount in wanted.items():
            # in an inc or dec a user may stand several times
            for _ in range(source.count(str(self.users[user])) if user != STRANGER else 0):
                now = self.held[user]
                self.held[user] = changed(mode, now, amount)
                rows.append((user, now, self.held[user]))
        assert view["rows"]["ok"] == len(rows)
        strangers = source.count(str(self.users[STRANGER]))
        assert view["rows"]["failed"] == strangers + moved
        failed = [(STRANGER, None, None)] * strangers
        return Done(view["id"], mode, rows, failed, succeeded=view["state"] == "succeeded")

    def _hand_in(self, mode: str, chosen: list[int], amount: int, **more: Any) -> Any:
        if mode == "set":
            chosen = list(dict.fromkeys(chosen))
        config = {**CONFIG, "eids": [EID], "mode": mode, "amount": amount, **more}
        answer = self.site.hand_in(config, "".join(f"{self.users[user]}\n" for user in chosen).encode())
        assert answer.status == 201, answer.body
        return answer.data if answer.data["executed"] else self.site.ended(answer.data["id"])

    @invariant()
    def counters_are_as_the_model_says(self) -> None:
        assert self._read() == self.held

    @invariant()
    def sums_agree_with_the_journal(self) -> None:
        assert self._sum() - self.start_sum == self._journal_sum() - self.start_journal


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    faults, known = Faults(close_after=40), (UserRange(1, USERS * SERIES_MAX),)
    with (
        TemporaryDirectory() as folder,
        SimulatedCluster(SimulatorSettings(users=known, max_rows=3, faults=faults)) as fish,
        open_site(Path(folder), {"fish": fish}) as opened,
    ):
        Series.site, Series.fish, Series.series = opened, fish, count()
        yield opened


def test_a_random_series_agrees_with_the_journal(site: Site) -> None:
    run_state_machine_as_test(
        Series,
        settings=settings(
            max_examples=6, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
