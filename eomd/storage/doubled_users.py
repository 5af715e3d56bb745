"""Users that stand in a file more than once, found in constant memory.

Users are dealt by a hash into parts of two million, and each part is sorted; the file is read once per
part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eomd.errors import FileProblem, InvalidFileError
from eomd.storage.change_hash import ChangeHash
from eomd.storage.rows_file import BATCH_ROWS_MAX, U64, Bools, RowsFile, RowsWriter

_PART_ROWS = 2_000_000
_HASH = np.uint64(0x9E3779B97F4A7C15)
_HASH_SHIFT = np.uint64(40)
_PAIR_BYTES = 16

Pairs = NDArray[np.uint64]


def find_doubled(read_users: Callable[[], Iterable[U64]], rows: int, part_rows: int = _PART_ROWS) -> U64:
    """Return the users, sorted, that occur more than once among the `rows` that `read_users()` yields."""
    parts = -(-rows // part_rows)
    found = [_doubled_of_part(read_users(), part, parts) for part in range(parts)]
    doubled = np.concatenate(found) if found else np.empty(0, np.uint64)
    doubled.sort()
    return doubled


def _doubled_of_part(blocks: Iterable[U64], part: int, parts: int) -> U64:
    picked = [_of_part(users, part, parts) for users in blocks]
    users = np.concatenate(picked) if picked else np.empty(0, np.uint64)
    del picked
    users.sort()
    doubled: U64 = users[1:][users[1:] == users[:-1]]
    return doubled[_starts_run(doubled)]


def _starts_run(users: U64) -> Bools:
    """Tell which of these sorted users are not the same as the one before."""
    starts = np.ones(len(users), np.bool_)
    starts[1:] = users[1:] != users[:-1]
    return starts


def _of_part(users: U64, part: int, parts: int) -> U64:
    if parts == 1:
        return users
    picked: U64 = users[((users * _HASH) >> _HASH_SHIFT) % np.uint64(parts) == part]
    return picked


def users_of(path: Path) -> Iterator[U64]:
    """Yield the users of a rows file in blocks."""
    with RowsFile.open(path) as rows:
        for _, users in rows.users():
            yield users


def pairs_of(path: Path) -> Iterator[Pairs]:
    """Yield (user, line) of a file of pairs, uint64[n, 2]."""
    with path.open("rb") as stream:
        while data := stream.read(BATCH_ROWS_MAX * _PAIR_BYTES):
            yield np.frombuffer(data, np.uint64).reshape(-1, 2)


def doubled_problems(pairs: Path, column: str) -> tuple[list[FileProblem], int]:
    """Return the first problems of users doubled in a file of (user, line), and how many there are in all."""
    rows = pairs.stat().st_size // _PAIR_BYTES
    doubled = find_doubled(lambda: (block[:, 0] for block in pairs_of(pairs)), rows)
    if not len(doubled):
        return [], 0
    seen = np.zeros(len(doubled), np.bool_)
    listed: list[FileProblem] = []
    total = 0
    for block in pairs_of(pairs):
        later = block[_after_first(block[:, 0], doubled, seen)]
        total += len(later)
        for user, line in later[: InvalidFileError.problems_listed_max - len(listed)].tolist():
            listed.append(FileProblem(line, column, str(user), "this user stands in an earlier line too"))
    return listed, total


def mark_superseded(path: Path, change: ChangeHash | None) -> int:
    """Rewrite a rows file so that only the last row of each user is sent; return how many rows are not.

    They are taken out of the hash of what is changed, too.
    """
    with RowsFile.open(path) as rows:
        doubled = find_doubled(lambda: users_of(path), rows.rows)
        if not len(doubled):
            return 0
        superseded = _superseded(rows, doubled)
        width = rows.head.amounts_per_row
        with RowsWriter(path, replace(rows.head, supersedes=True)) as writer:
            for block in rows.blocks():
                part = superseded[block.start : block.start + len(block)]
                amounts = block.amounts[:, :width] if block.amounts is not None and width else None
                writer.write(block.users, amounts, block.carried, superseded=part)
                if change is not None:
                    change.take_out(block.users[part], None if amounts is None else amounts[part])
    return int(np.count_nonzero(superseded))


def _superseded(rows: RowsFile, doubled: U64) -> Bools:
    """Return bool[rows.rows]: a later row has the same user."""
    marks = np.zeros(rows.rows, np.bool_)
    seen = np.zeros(len(doubled), np.bool_)
    for start, users in rows.users(backwards=True):
        marks[start : start + len(users)] = _after_first(users[::-1], doubled, seen)[::-1]
    return marks


def _after_first(users: U64, doubled: U64, seen: Bools) -> Bools:
    """Tell which of these users came before, here or in blocks told of earlier; note them in `seen`."""
    # sorted, because looking them up in random order misses the processor's cache each time
    order = np.argsort(users, kind="stable")
    users = users[order]
    position = np.minimum(np.searchsorted(doubled, users), len(doubled) - 1)
    matched = doubled[position] == users
    result = np.zeros(len(users), np.bool_)
    result[order] = matched & (seen[position] | ~_starts_run(users))
    seen[position[matched]] = True
    return result
