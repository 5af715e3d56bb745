"""One operation at work: rows from its folder into the cluster, answers into its partial result, in order.

Two loops feed it: one loads segments ahead, one writes what is decided. What ends the work early (a person,
a drain) is a `Wish`; what merely holds it (no node, no disk space) ends by itself. The order of what is put
on disk follows the rules in `docs/ledger.md`. It must not know of HTTP or SQL.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from eomd.errors import DiskFullError
from eomd.evt.cluster import Cluster
from eomd.model import (
    Approval,
    Counts,
    EidDefinition,
    Model,
    Operation,
    PausedBy,
    RowStatus,
    State,
)
from eomd.operations.feed import Feed
from eomd.operations.guard import Guard
from eomd.operations.holds import Holds
from eomd.operations.keeper import Keeper
from eomd.operations.partial import Partial
from eomd.operations.plan import Conditions, Ground
from eomd.operations.reach import Reach
from eomd.operations.reports import Reports
from eomd.operations.second_look import SecondLook
from eomd.operations.tools import Tools
from eomd.operations.waiting import end, next_time, now_s
from eomd.operations.window import Segment
from eomd.operations.wish import BY_A_PERSON, Wish
from eomd.storage.checkpoint import Checkpoint
from eomd.storage.csv_writer import ResultHead
from eomd.storage.files import OperationFolder
from eomd.storage.rows_file import RowsFile

log = logging.getLogger(__name__)

#: rows of a segment where tokens protect (fewer with many EIDs, so that memory stays the same)
SEGMENT_ROWS = 32_768
#: rows of a segment where they do not: a crash leaves at most a few of these uncertain
SEGMENT_ROWS_UNPROTECTED = 4_096
#: EIDs up to which a segment is of full size
SEGMENT_EIDS = 4
#: pause between two checkpoints where tokens protect
CHECKPOINT_S = 0.5
#: what writing out the window may take at an early end
WRITE_OUT_S = 5.0


class Runner:
    """Runs one operation until it has ended, is paused by a person, or the server drains.

    After a pause `run` may be called again: what was decided in between is kept.
    """

    def __init__(
        self,
        operation: Operation,
        folder: OperationFolder,
        checkpoint: Checkpoint,
        cluster: Cluster,
        tools: Tools,
    ) -> None:
        self.operation = operation
        self._conditions = Conditions(operation.order, checkpoint.conditions)
        self.feed = Feed(operation, checkpoint, self._definitions, tools.answered)
        self._order, self._total = operation.order, operation.counts.total
        self._cluster, self._tools, self._folder = cluster, tools, folder
        self._keeper = Keeper(folder, tools, self._disk_short)
        self._reports = Reports(self._keeper, tools)
        self._checkpoint = checkpoint
        self._rows: RowsFile | None = None
        self._reach = Reach(self.feed, cluster, checkpoint)
        self._holds = Holds(cluster, self._show_hold)
        self._looks = SecondLook(
            operation, self._keeper, tools.rules.read.line_bytes, passed=checkpoint.canary_passed
        )
        self._guard = Guard(self.feed, operation.order.cluster, tools.rules, self._pause_by, self._wake_pool)
        self._verified: str | None = None
        self._wish, self._pause = Wish.NONE, BY_A_PERSON
        self._room, self._decided, self._stopping = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._cluster_changed = asyncio.Event()
        self.feed.decided = self._decided.set
        self._moving = asyncio.Lock()

    def view(self) -> Operation:
        """Return the operation as it stands this moment."""
        return replace(self.operation, counts=self.feed.counts)

    def stop(self, wish: Wish) -> None:
        """Ask for an early end; `run` returns when it is done."""
        self._wish = max(self._wish, wish)
        self._keeper.hurry = True
        self._wake_all()

    def _pause_by(self, by: PausedBy, reason: str) -> None:
        """Pause for another reason than a person's word, which it does not replace."""
        if self._wish < Wish.PAUSE:
            self._pause = (by, reason)
            self.stop(Wish.PAUSE)

    @property
    def cluster(self) -> Cluster:
        """The pool that it works with."""
        return self._cluster

    def meet(self, cluster: Cluster) -> None:
        """Work with another pool from the next run on. Not while it runs."""
        self._reach.meet(cluster)
        self._cluster, self._holds = cluster, Holds(cluster, self._show_hold)

    @property
    def patience_s(self) -> float:
        """How long an early end may take at most, the disk willing."""
        return self._cluster.settings.reply_timeout_s + WRITE_OUT_S

    def _wake_all(self) -> None:
        for event in (self._stopping, self._room, self._decided, self._cluster_changed):
            event.set()

    async def run(self) -> None:
        """Work until the end or until a wish is carried out. Raises nothing but cancellation."""
        self._cluster.add_listener(self._cluster_changed.set)
        try:
            await self._work()
        except Exception as error:  # whatever it is, the operation must end with a reason
            await self._fail(error)
        finally:
            self._cluster.remove_listener(self._cluster_changed.set)
            await self._reports.wait()
            self._wish, self._keeper.hurry = Wish.NONE, False
            self._pause = BY_A_PERSON
            self._stopping.clear()

    async def rest(self, state: State, by: PausedBy | None, message: str | None) -> None:
        """Enter a state in which nothing runs: queued, or paused before or between runs."""
        if self.operation.paused_by is PausedBy.CANARY and state is State.QUEUED:
            self._looks.pass_canary()
        await self._become(state, by, message)

    async def decide(self, state: State, message: str | None, approval: Approval | None) -> None:
        """Leave `awaiting_approval`."""
        self.operation = replace(self.operation, approval=approval)
        await self._become(state, None, message)

    async def tell(self, story: str) -> None:
        """Add a line to the operation's log."""
        await self._keeper.tell(self.operation, story)

    async def _work(self) -> None:
        if await self._greeted():
            await self._open()
            self._reach.set_out()
            await self._move_limit()
            await self._become(State.RUNNING)
            if not self._stopping.is_set():
                self.feed.stopped = False
                self._guard.begin()
                self._cluster.attach(self.feed)
                await self._run_loops()
        if self._wish is Wish.NONE:
            await self._cluster.detach(self.feed, 0.0)
            return await self._finish()
        return await self._interrupt()

    async def _greeted(self) -> bool:
        """Wait until the cluster's nature is known. False where a wish came first."""
        watching = asyncio.create_task(self._holds.watch_cluster())
        try:
            while self._cluster.idempotent is None and not self._stopping.is_set():
                await next_time(self._cluster_changed)
        finally:
            await end(watching)
        return not self._stopping.is_set()

    async def _open(self) -> None:
        if self._rows is not None:
            return
        self._rows = rows = await self._keeper.in_thread(RowsFile.open, self._folder.rows)
        head = ResultHead(rows.user_header, rows.carried_headers, self._order.eids, self._order.model)
        kept = self._checkpoint
        self._keeper.partial = Partial(
            self._folder.partial, head, kept.rows, kept.partial_bytes, kept.statuses
        )
        if 0 < kept.rows < self._total:
            # what the file lacks must show before another row is sent
            await self._keeper.in_thread(self._keeper.partial.open)
        self._reach.recall()

    def _opened(self) -> RowsFile:
        if self._rows is None:
            raise RuntimeError("rows are read before they are opened")
        return self._rows

    async def _run_loops(self) -> None:
        watching = asyncio.gather(
            self._holds.watch_cluster(), self._follow_cluster(), self._guard.watch(self._cluster)
        )
        loops = {asyncio.create_task(self._load()), asyncio.create_task(self._write())}
        try:
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self.feed.stopped = True
            self._wake_all()
            await asyncio.gather(*loops, return_exceptions=True)
            await end(watching)
        if self._wish is Wish.NONE:
            for task in done:
                task.result()

    # --- loading and writing -----------------------------------------------------------------------------

    async def _load(self) -> None:
        window = self.feed.window
        while window.loaded < self._total and not self._stopping.is_set():
            if len(window) >= self._tools.window_segments() or window.loaded == self._looks.bar:
                await next_time(self._room)
                continue
            segment = await self._keeper.in_thread(self._read_segment, window.loaded)
            self.feed.add(segment, self._reach.doubtful)
            await self._move_limit()

    def _read_segment(self, start: int) -> Segment:
        rows = self._opened()
        full = SEGMENT_ROWS if self._reach.protected else SEGMENT_ROWS_UNPROTECTED
        size = full * SEGMENT_EIDS // max(SEGMENT_EIDS, len(self._order.eids))
        block = rows.block(start, rows.cut(start, self._looks.cut(start, start + size)))
        return Segment(block, len(self._order.eids), self._order.model is Model.MODIFY)

    async def _move_limit(self) -> None:
        """Let rows be sent as far as the checkpoint allows, which may have to be written first."""
        async with self._moving:
            if self._reach.promise():
                await self._save()
            self._reach.allow(self._keeper.opened().durable.rows)
        self._wake_pool()

    def _wake_pool(self) -> None:
        self._cluster.wake(self.feed)

    async def _follow_cluster(self) -> None:
        """Have the disk know as soon as a node joins that remembers no tokens; the pool waits for it."""
        while True:
            self._cluster_changed.clear()
            await self._move_limit()
            await self._cluster_changed.wait()

    async def _write(self) -> None:
        due = now_s() + CHECKPOINT_S
        while self.feed.window.written < self._total and not self._stopping.is_set():
            if self.feed.window.written == self._looks.bar:
                await self._look_at_canary()
                continue
            ready = self.feed.window.writable()
            if ready is None:
                self._raise_fault()
                await next_time(self._decided)
                continue
            await self._append(*ready)
            if self._reach.is_short() or now_s() >= due:
                await self._save()
                await self._move_limit()
                due = now_s() + CHECKPOINT_S
        if self._looks.verifies and not self._stopping.is_set():
            await self._save()
            self._verified = await self._looks.verify(*self._read_back())

    async def _look_at_canary(self) -> None:
        await self._save()
        reason = await self._looks.look_at_canary(*self._read_back(), self.feed.answered)
        if reason is not None:
            self._pause_by(PausedBy.CANARY, reason)
        self._room.set()

    def _read_back(self) -> tuple[Cluster, RowsFile, Path, asyncio.Event]:
        """Return what a read-back goes by; an earlier life may have given the result its name already."""
        partial, named = self._folder.partial, self._tools.data.result(self.operation.id)
        return self._cluster, self._opened(), partial if partial.exists() else named, self._stopping

    def _raise_fault(self) -> None:
        if self.feed.fault is not None:
            raise self.feed.fault

    async def _append(self, segment: Segment, until: int) -> None:
        await self._keeper.append(segment, until)
        self.feed.window.mark_written(until)
        self._room.set()

    async def _save(self) -> None:
        await self._keeper.save(self._compose_checkpoint)

    def _compose_checkpoint(self, operation: Operation | None = None) -> Checkpoint:
        """Return what the disk may say now of this view of the operation."""
        operation, kept, partial = operation or self.operation, self._checkpoint, self._keeper.partial
        if partial is not None:
            rows, length, statuses = partial.durable
            reach = self._reach
            kept = replace(kept, started=True, protected=reach.protected, sent_until=reach.sent_until)
            kept = replace(kept, rows=rows, partial_bytes=length, statuses=statuses)
        return replace(
            kept,
            state=operation.state,
            paused_by=operation.paused_by,
            message=operation.message,
            cancelling=self._wish is Wish.CANCEL,
            resultname=operation.resultname,
            modified=operation.last_modify_time,
            approval=operation.approval,
            canary_passed=self._looks.bar is None,
            verifyname=operation.verifyname,
            conditions=dict(self._conditions.digests),
        )

    # --- holds: what ends by itself ----------------------------------------------------------------------

    def _disk_short(self, reason: str | None) -> None:
        self._holds.set(PausedBy.DISK, reason)

    def _show_hold(self) -> None:
        """The state follows the holds."""
        held = self._holds.first
        self._show(self._turned(State.PAUSED, *held) if held else self._turned(State.RUNNING, None, None))
        self._reports.tell_soon(self.operation)

    # --- ends --------------------------------------------------------------------------------------------

    async def _interrupt(self) -> None:
        """Await what is in flight, keep what is decided, and end as wished."""
        if self._wish is Wish.CANCEL:
            self._keeper.hurry = False
            await self._save()
            await self._settle_flight(final=True)
            return await self._cancel()
        await self._settle_flight(final=False)
        try:
            await self._append_decided()
        except (OSError, DiskFullError) as error:
            log.warning("rows decided wait in memory: %s", error, extra={"operation": self.operation.id})
        self._reach.shrink()
        if self._wish is Wish.PAUSE:
            self._holds.clear()
            if self._braked_in_vain:
                await self.tell(self._pause[1])
                self._keeper.hurry = False
                return await self._finish()
            return await self._become(State.PAUSED, *self._pause)
        return await self._become(self.operation.state, self.operation.paused_by, self.operation.message)

    @property
    def _braked_in_vain(self) -> bool:
        """Whether the brake has nothing to hold back: the rows that were in flight were the last."""
        last = self.feed.window.written == self._total and not self._looks.verifies
        return last and self._pause[0] is PausedBy.BRAKE

    async def _settle_flight(self, *, final: bool) -> None:
        if self._keeper.partial is None:
            return
        undone, unknown = await self._cluster.detach(self.feed, self._cluster.settings.reply_timeout_s)
        again = self._reach.protected and not final
        self.feed.give_back(undone, unknown if again else unknown[:0])
        status = RowStatus.UNCERTAIN if self.feed.modifies else RowStatus.NOT_SENT
        for row in [] if again else unknown.tolist():
            self.feed.decide(row, row + 1, status)

    async def _append_decided(self) -> None:
        while prefix := self.feed.window.decided_prefix():
            await self._append(*prefix)

    async def _cancel(self) -> None:
        """Name every row that was not sent, and end."""
        cut_off = self._decide_rest() > 0 or self.feed.window.loaded < self._total
        if not self.feed.counts.done and not self._checkpoint.started:
            await self._become(State.CANCELLED, message="cancelled before a row was answered")
            return await self._close()
        await self._open()
        while self.feed.window.written < self._total:
            await self._append_decided()
            if self.feed.window.loaded < self._total:
                segment = await self._keeper.in_thread(self._read_segment, self.feed.window.loaded)
                self.feed.add(segment, self._reach.doubtful)
                self._decide_rest()
        return await self._finish(cut_off=cut_off)

    def _decide_rest(self) -> int:
        """What an earlier life may have sent is uncertain; the rest was surely not sent. Return how many."""
        window, sent = self.feed.window, 0
        if self.feed.modifies:
            sent = min(self.feed.sent_before, window.loaded)
        uncertain = self.feed.decide(window.written, sent, RowStatus.UNCERTAIN)
        return uncertain + self.feed.decide(window.written, window.loaded, RowStatus.NOT_SENT)

    async def _finish(self, *, cut_off: bool = False) -> None:
        await self._publish()
        if self._order.dry_run and not cut_off:
            await self._keeper.on_disk(self._draw_plan)
        if self._verified is not None:
            name = await self._keeper.publish_verify(self.operation)
            self.operation = replace(self.operation, verifyname=name)
        outcome = State.CANCELLED if cut_off else _outcome(self.feed.counts)
        await self._become(outcome, message=self._verified)
        await self._close()

    def _draw_plan(self) -> None:
        """Leave on the disk what the plan was made from. Blocks."""
        data, identity = self._tools.data, self.operation.id
        ground = Ground(self._order, data.source(identity), self._folder.rows, data.result(identity))
        definitions = self._definitions(self._order.cluster)
        plan = ground.draw(self._cluster.settings, definitions)
        plan.under(self._conditions).save(self._folder.plan)

    def _definitions(self, cluster: str) -> Mapping[int, EidDefinition]:
        """Return the counters' limits, which a dry run keeps in mind."""
        found = self._tools.definitions(cluster)
        if self._order.dry_run:
            self._conditions.see(self._cluster.settings, found)
        return found

    async def _publish(self) -> None:
        await self._save()
        name = await self._keeper.publish(self.operation)
        self.operation = replace(self.operation, resultname=name)

    async def _fail(self, error: Exception) -> None:
        log.error("operation failed: %s", error, exc_info=error, extra={"operation": self.operation.id})
        self.feed.stopped, self._keeper.hurry = True, True
        for keep in (self._name_rows_in_hand, self._publish_what_there_is):
            try:
                await keep()
            except Exception:  # the next one may succeed, and the operation must end
                log.exception("rows done are not in a result", extra={"operation": self.operation.id})
        await self._become(State.FAILED, message=f"{type(error).__name__}: {error}")
        await self._close()

    async def _name_rows_in_hand(self) -> None:
        """Write what is known of the rows that were loaded, and so perhaps sent."""
        await self._settle_flight(final=True)
        if self.feed.fault is not None and self.feed.modifies:
            # an answer was lost on us: nobody knows which of these rows it spoke of
            self.feed.decide(self.feed.window.written, self.feed.window.loaded, RowStatus.UNCERTAIN)
        self._decide_rest()
        await self._append_decided()
        # all that was sent is named: the disk may say that the rest was not
        self._reach.shrink()

    async def _publish_what_there_is(self) -> None:
        if self._keeper.partial is not None and self._keeper.partial.rows:
            await self._publish()

    async def _close(self) -> None:
        rows, self._rows = self._rows, None
        if rows is not None:
            await self._keeper.in_thread(rows.close)
        await self._keeper.close()

    # --- telling -----------------------------------------------------------------------------------------

    async def _become(self, state: State, by: PausedBy | None = None, message: str | None = None) -> None:
        """Enter a state: on disk first, then in the ledger, then to whoever listens."""
        operation = self._turned(state, by, message)
        try:
            await self._keeper.save(lambda: self._compose_checkpoint(operation))
        except (OSError, DiskFullError) as error:
            log.warning("state not kept on disk: %s", error, extra={"operation": operation.id})
        self._show(operation)
        await self._reports.tell(operation)

    def _turned(self, state: State, by: PausedBy | None, message: str | None) -> Operation:
        now, counts = datetime.now(UTC), self.feed.counts
        shown = replace(self.operation, state=state, paused_by=by, message=message)
        return replace(shown, counts=counts, last_modify_time=now)

    def _show(self, operation: Operation) -> None:
        self.operation = operation
        log.info("operation is %s", operation.state.value, extra={"operation": operation.id})
        self._tools.changed(operation)


def _outcome(counts: Counts) -> State:
    """Return how an operation ended whose rows are all in its result."""
    if counts.done < counts.total:
        return State.CANCELLED
    return State.SUCCEEDED if counts.ok == counts.total else State.PARTIAL
