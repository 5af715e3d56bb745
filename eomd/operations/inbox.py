"""Claimed files from the inbox become operations, are refused, or wait; hundreds of them in one transaction.

A file's taken name stands for one hand-in, whose UUID is made of it: however often a file is offered, before
and after a crash of anybody, the ledger says whether it is an operation already. Nothing here is told that it
failed because the ledger went away in the middle: its folder stays, and what the ledger says later counts.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TypeVar

from eomd.errors import EomdError, FileChangedError, QueueFullError, RequestError, UnavailableError
from eomd.inbox_layout import hand_in_of
from eomd.model import Operation, Order, Role
from eomd.operations.admission import Admission, Staged
from eomd.operations.audit import Audit, Caller
from eomd.operations.board import Board
from eomd.operations.dropped import Answer, Dropped, Verdict, explain
from eomd.operations.dropped_files import DroppedFiles
from eomd.operations.hand_ins import HandIns
from eomd.operations.intake import Intake
from eomd.operations.outbox import Outbox
from eomd.operations.repeats import OF_LATE, Repeats
from eomd.operations.schedule import Schedule
from eomd.operations.tools import Tools
from eomd.storage.ledger import Ledger

#: an identical modify is refused for so long
REPEATED = timedelta(hours=12)
#: how long a call waits for what it asks about
ANSWER_S = 10.0
#: staged hand-ins are entered into the ledger together, so many or so long at most
TOGETHER_MAX, TOGETHER_S = 200, 1.0
#: share of the queue that is left to people
KEPT_FREE = 0.1
_CALLER = Caller("inbox", Role.OPERATOR, "local")

log = logging.getLogger(__name__)

T = TypeVar("T")
Pair = tuple[Dropped, Staged]


_IN_HAND = Answer(Verdict.LATER, "files offered before are still being read")


class _Batch:
    """Staged hand-ins that will be entered into the ledger together."""

    def __init__(self) -> None:
        self._pairs: list[Pair] = []
        self._began_s = 0.0

    def __len__(self) -> int:
        return len(self._pairs)

    def add(self, pair: Pair) -> None:
        self._began_s = self._began_s if self._pairs else _now()
        self._pairs.append(pair)

    def is_due(self) -> bool:
        """Tell whether there are many, or one has waited long."""
        if not self._pairs:
            return False
        return len(self._pairs) >= TOGETHER_MAX or _now() - self._began_s >= TOGETHER_S

    def take(self) -> list[Pair]:
        pairs, self._pairs = self._pairs, []
        return pairs


@dataclass(slots=True)
class Inbox:
    """Takes offers of claimed files; deals with one offer at a time."""

    ledger: Ledger
    board: Board
    hand_ins: HandIns
    schedule: Schedule
    intake: Intake
    admission: Admission
    repeats: Repeats
    outbox: Outbox
    audit: Audit
    files: DroppedFiles
    tools: Tools
    _dealing: asyncio.Task[None] | None = None
    #: by taken name, of the offer that is or was dealt with last
    _answers: dict[str, Answer] = field(default_factory=dict)
    _refused: list[tuple[Dropped, str]] = field(default_factory=list)

    async def offer(self, dropped: Sequence[Dropped]) -> list[Answer]:
        """Say of each file what has become of it; LATER where that takes longer than ANSWER_S."""
        if self._dealing is None or self._dealing.done():
            self._answers = {}
            self._dealing = asyncio.create_task(self._deal(dropped), name="inbox")
        await asyncio.wait({self._dealing}, timeout=ANSWER_S)
        return [self._answers.get(each.taken, _IN_HAND) for each in dropped]

    async def close(self) -> None:
        """Stop; what is between its folder and the ledger is settled at the next start."""
        if self._dealing is not None:
            self._dealing.cancel()
            await asyncio.gather(self._dealing, return_exceptions=True)

    async def _deal(self, dropped: Sequence[Dropped]) -> None:
        reason = "a fault of eomd's own, see its log"
        try:
            with ExitStack() as under_way:
                await self._go_through(dropped, under_way)
        except UnavailableError as error:
            reason = str(error)
        except Exception:
            log.exception("claimed files could not be dealt with")
        finally:
            await self._publish_refusals()
            for each in dropped:
                self._answers.setdefault(each.taken, Answer(Verdict.LATER, reason))

    async def _go_through(self, dropped: Sequence[Dropped], under_way: ExitStack) -> None:
        """Answer as much as can be answered. Raises UnavailableError: the rest is for later."""
        self.intake.check_ledger()
        origin = self.tools.data.origin()
        hand_ins = {each.taken: hand_in_of(origin, each.taken) for each in dropped}
        known = await self.ledger.operations_of_uuids(list(hand_ins.values()))
        batch = _Batch()
        try:
            for each in dropped:
                hand_in = hand_ins[each.taken]
                if (operation := known.get(hand_in)) is not None:
                    self._answers[each.taken] = Answer(Verdict.ADMITTED, operation=operation)
                elif each.order is None:
                    await self._refuse(each, list(each.problems))
                else:
                    await self._stage(each, each.order, hand_in, batch, under_way)
                if batch.is_due():
                    await self._enter(batch.take())
        except UnavailableError:
            # what is staged goes in although the others must wait
            await self._enter(batch.take())
            raise
        await self._enter(batch.take())

    # --- one file ----------------------------------------------------------------------------------------

    async def _stage(
        self, each: Dropped, order: Order, hand_in: str, batch: _Batch, under_way: ExitStack
    ) -> None:
        """Stage the file as a hand-in of the batch, or answer otherwise. Raises UnavailableError."""
        self.intake.check_open()
        if self.schedule.room(KEPT_FREE) <= len(batch):
            raise QueueFullError("the queue is full")
        under_way.enter_context(self.hand_ins.under_way(hand_in))
        try:
            self.intake.check_order(order)
            await self.intake.check_space(each.size / 2**20)
            place = partial(self.files.place, each)
            staged = await self.admission.stage(hand_in, order, place, each.original_name)
            await self._check_unchanged(each, staged)
        except RequestError as error:
            await self._refuse(each, explain(error))
        except FileChangedError as error:
            self._answers[each.taken] = Answer(Verdict.LATER, str(error), changed=True)
        except OSError as error:
            await self._judge(each, error)
        except UnavailableError:
            raise
        except Exception:
            # offered again and again it would fail again and again
            log.exception("a claimed file could not be read")
            await self._refuse(each, ["eomd could not read it; its log says why"])
        else:
            batch.add((each, staged))

    async def _check_unchanged(self, each: Dropped, staged: Staged) -> None:
        try:
            await self._in_thread(self.files.check_unchanged, each)
        except BaseException:
            await self._in_thread(staged.folder.remove)
            raise

    async def _judge(self, each: Dropped, error: OSError) -> None:
        """Answer for a file that could not be read."""
        if isinstance(error, FileNotFoundError):
            refused = await self._in_thread(self.files.is_refused, each)
            verdict = Verdict.REFUSED if refused else Verdict.MISSING
            self._answers[each.taken] = Answer(verdict, "refused before" if refused else "it is not there")
        elif isinstance(error, PermissionError) or error.errno == errno.ELOOP:
            await self._refuse(each, [f"eomd may not read it: {error.strerror}"])
        else:
            if isinstance(error, FileExistsError):
                # its folder is there, and what the ledger knows of it is not settled
                self.hand_ins.doubt()
            self._answers[each.taken] = Answer(Verdict.LATER, str(error))

    async def _refuse(self, each: Dropped, problems: list[str]) -> None:
        """Move a file away with its problems; the answer waits until that is on the disk."""
        await self._in_thread(self.files.refuse, each, problems)
        await self.outbox.refuse(each, problems)
        self._refused.append((each, problems[0]))

    async def _publish_refusals(self) -> None:
        refused, self._refused = self._refused, []
        if not refused:
            return
        try:
            await self._in_thread(self.files.sync)
        except OSError as error:
            log.warning("refusals wait for the disk: %s", error)
            return
        for each, reason in refused:
            self._answers[each.taken] = Answer(Verdict.REFUSED, reason)

    # --- many --------------------------------------------------------------------------------------------

    async def _enter(self, staged: Sequence[Pair]) -> None:
        """Make operations of those that do not repeat others."""
        async with self.repeats.turn([one for _, one in staged]):
            entered = await self._admit(await self._sort_repeats_out(staged))
        if not entered:
            return
        try:
            pairs = [(each_staged, operation) for _, each_staged, operation in entered]
            kept_back = await self.admission.start([s for s, _ in pairs], [o for _, o in pairs])
        except OSError:
            self.hand_ins.doubt()
            raise
        for (each, _, operation), error in zip(entered, kept_back, strict=True):
            if error is not None:
                self.hand_ins.doubt()
                self._answers[each.taken] = Answer(Verdict.LATER, str(error))
            else:
                self._tell_outbox(operation.id)
                self._answers[each.taken] = Answer(Verdict.ADMITTED, operation=operation.id)
        deeds = [(f"operation {o.id}", {"note": o.order.note, "file": d.taken}) for d, _, o in entered]
        await self.audit.note_all(_CALLER, "hand_in", deeds)

    def _tell_outbox(self, operation: int) -> None:
        """Have a new operation answered as it stands by now: it may have ended, and be answered so."""
        view = self.board.find(operation)
        if view is not None:
            self.outbox.changed(view)

    async def _sort_repeats_out(self, staged: Sequence[Pair]) -> list[Pair]:
        """Refuse modifies that are identical to one of late, or to one before them here."""
        hand_ins = [one for _, one in staged]
        of_late = await self.repeats.find(hand_ins, OF_LATE)
        refusing = self.tools.rules.refuse_repeats
        earlier = of_late if refusing else await self.repeats.find(hand_ins, REPEATED)
        within = "7 days" if refusing else "12 hours"
        seen: dict[str, str] = {}
        good: list[Pair] = []
        for each, hand_in in staged:
            change = hand_in.new.change_hash
            other = _name_other(earlier.get(change), seen.get(change)) if change is not None else None
            if other is not None and not hand_in.new.order.confirm_repeat:
                await self._in_thread(hand_in.folder.remove)
                await self._refuse(each, [f"an identical modify was handed in within {within}: {other}"])
                continue
            if change is not None:
                seen[change] = each.original_name
            noted = await self.admission.note_repeats(hand_in, of_late.get(change or "", []))
            good.append((each, noted))
        return good

    async def _admit(self, pairs: Sequence[Pair]) -> list[tuple[Dropped, Staged, Operation]]:
        """Write them into the ledger, in one transaction. Raises UnavailableError: it may have them."""
        if not pairs:
            return []
        try:
            operations = await self.admission.enter([staged for _, staged in pairs])
        except UnavailableError:
            self.hand_ins.doubt()
            raise
        except EomdError as error:
            if len(pairs) == 1:
                [(each, staged)] = pairs
                await self._in_thread(staged.folder.remove)
                await self._refuse(each, [f"the ledger does not take it: {error}"])
                return []
            # one of them is to blame; the others are not held up by it
            return [entered for pair in pairs for entered in await self._admit([pair])]
        return [(each, s, operation) for (each, s), operation in zip(pairs, operations, strict=True)]

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.tools.executors.reading, partial(work, *arguments))


def _name_other(earlier: list[int] | None, beside: str | None) -> str | None:
    """Return what to call the operation that did the same before; None where none did."""
    if earlier:
        return f"operation {earlier[0]}"
    return f"{beside}, dropped a moment before" if beside is not None else None


def _now() -> float:
    return asyncio.get_running_loop().time()
