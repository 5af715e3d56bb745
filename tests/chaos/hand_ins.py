"""What is handed in during a run: drawn by chance from a seed, kept to be compared with what came of it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eomd.evt.codec import I64, U64
from eomd.model import RowStatus
from tests.chaos.clusters import EIDS, FIRST_USER, LOCKED, SPECS, USERS

SMALL_ROWS_MAX = 200
LARGE_ROWS = (5_000, 40_000)
#: of the users in a file that do not exist
STRANGERS_SHARE = 0.01
AMOUNT_MAX = 1000
MODES = (None, None, "inc", "inc", "dec", "set")


@dataclass(slots=True)
class HandIn:
    """One file with what is asked of it, and what was answered."""

    #: its Idempotency-Key, description and part of its file's name: no two are the same
    key: str
    cluster: str
    #: None: a query
    mode: str | None
    eids: tuple[int, ...]
    #: n of them, in the file's order
    users: U64
    #: of each row, for every EID; None for a query
    amounts: I64 | None
    #: as the API told it
    operation: int | None = None
    #: nobody has promised to do it, and nothing of it may be done
    refused: str = ""
    #: a person has ordered its end
    cancelled: bool = False
    #: the same change was dropped under another name: one of the two is done, whichever is claimed first
    twin: HandIn | None = None
    #: dropped into the inbox under this name, not handed in over HTTP
    dropped: str = ""

    @property
    def model(self) -> str:
        return "query" if self.mode is None else "modify"

    @property
    def config(self) -> dict[str, Any]:
        config = {"cluster": self.cluster, "eids": list(self.eids), "description": self.key}
        return config if self.mode is None else {**config, "mode": self.mode}

    @property
    def name(self) -> str:
        """What its file is called in the inbox."""
        words = [self.model, self.cluster, *([self.mode] if self.mode else []), ",".join(map(str, self.eids))]
        return "_".join([*words, "op7", self.key]) + ".csv"

    def content(self) -> str:
        """Return the file."""
        if self.amounts is None:
            return "userid\n" + "".join(f"{user}\n" for user in self.users.tolist())
        rows = zip(self.users.tolist(), self.amounts.tolist(), strict=True)
        return "userid,amount\n" + "".join(f"{user},{amount}\n" for user, amount in rows)

    def expected(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return what each row's status is where it was decided, uint8[n]."""
        status = np.full(len(self.users), RowStatus.OK, np.uint8)
        if self.mode is not None:
            status[self.users < FIRST_USER + LOCKED] = RowStatus.USER_LOCKED
        status[self.users >= FIRST_USER + USERS] = RowStatus.NO_SUCH_USER
        return status


@dataclass(slots=True)
class Drawer:
    """Draws hand-ins. For one thread; two with other names draw others."""

    name: str
    seed: Sequence[int]
    clusters: Sequence[str] = tuple(spec.name for spec in SPECS)
    #: of its files, those that have thousands of rows
    large_share: float = 0.15
    _count: int = 0
    _random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def draw(self, rows: int | None = None) -> HandIn:
        """Return the next one, of so many rows or by chance of few or many."""
        self._count += 1
        mode = self._pick(MODES)
        n = rows or self._draw_rows()
        return HandIn(
            key=f"{self.name}-{self._count:05}",
            cluster=self._pick(self.clusters),
            mode=mode,
            eids=self._pick(((EIDS[0],), (EIDS[1],), EIDS)),
            users=self._draw_users(n, unique=mode == "set"),
            amounts=None if mode is None else self._random.integers(0, AMOUNT_MAX, n),
        )

    def chance(self, share: float) -> bool:
        return bool(self._random.random() < share)

    def _pick(self, choices: Sequence[Any]) -> Any:
        return choices[int(self._random.integers(len(choices)))]

    def _draw_rows(self) -> int:
        if self.chance(self.large_share):
            return int(self._random.integers(*LARGE_ROWS))
        return int(self._random.integers(1, SMALL_ROWS_MAX))

    def _draw_users(self, n: int, unique: bool) -> U64:
        """Return existing users and some that do not exist; but for `set` one may stand there twice."""
        beyond = USERS + int(USERS * STRANGERS_SHARE)
        drawn = self._random.permutation(beyond)[:n] if unique else self._random.integers(0, beyond, n)
        return (drawn + FIRST_USER).astype(np.uint64)


def refuse_second_twins(dropped: Sequence[HandIn], admitted: Container[str]) -> Iterator[str]:
    """Mark the one of each two that must have been refused; complain where both or none were done."""
    for asked in dropped:
        if asked.twin is None:
            continue
        done = [one for one in (asked, asked.twin) if one.name in admitted]
        if len(done) == 1:
            other = asked.twin if done[0] is asked else asked
            other.refused = "an identical modify of late"
        else:
            yield f"{asked.key} and {asked.twin.key} are one change, done {len(done)} times"


def write_source(folder: Path, hand_in: HandIn) -> Path:
    """Write its file into a folder and return its path."""
    path = folder / f"{hand_in.key}.csv"
    path.write_text(hand_in.content())
    return path
