"""Which operation runs when, and what a person's word does to it.

Operations of a cluster start in the order of their ids, up to `RUNNING_MAX` at a time; among the running ones
the pool serves their requests in turn, so that a small one is not held up by a large one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import cast
from weakref import WeakValueDictionary

from eomd.errors import NotFoundError, QueueFullError, WrongStateError
from eomd.evt.cluster import Cluster
from eomd.model import ACTIONS, Approval, Operation, PausedBy, State
from eomd.operations.absent import AbsentCluster
from eomd.operations.board import Board
from eomd.operations.runner import Runner
from eomd.operations.tools import Tools
from eomd.operations.wish import BY_A_PERSON, Wish
from eomd.storage.checkpoint import Checkpoint
from eomd.storage.files import OperationFolder

log = logging.getLogger(__name__)

#: operations of one cluster that run at the same time
RUNNING_MAX = 16
#: segments in hand of all running operations together, and of one at least
SEGMENTS_IN_HAND, SEGMENTS_EACH_MIN = 8, 2
#: pauses that only a person lifts
_PERSONAL = (PausedBy.PERSON, PausedBy.BRAKE, PausedBy.CANARY)


class Schedule:
    """Every operation that has not ended, queued, running or paused."""

    def __init__(self, clusters: Mapping[str, Cluster], tools: Tools, board: Board) -> None:
        self._clusters, self._tools, self._board = clusters, tools, board
        self._runners: dict[int, Runner] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._queues: dict[str, OrderedDict[int, Runner]] = {}
        self._absent: dict[str, AbsentCluster] = {}
        #: clusters whose operations are just moved to another pool
        self._moving: dict[str, asyncio.Lock] = {}
        #: by operation: held while one that rests is started, put into its queue or into another state
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        #: held by whoever decides about an operation that waits for approval
        self.deciding = asyncio.Lock()
        self._draining = False

    @property
    def queued(self) -> int:
        return sum(map(len, self._queues.values()))

    @property
    def running(self) -> int:
        return len(self._tasks)

    def window_segments(self) -> int:
        """Return how many segments each running operation may hold, so that memory stays flat."""
        return max(SEGMENTS_EACH_MIN, SEGMENTS_IN_HAND // max(1, len(self._tasks)))

    def room(self, kept_free: float) -> int:
        """Return how many more may wait so that this share of the queue stays free; one at least may."""
        most = self._tools.rules.queued_operations_max
        return max(0, max(1, int(most * (1 - kept_free))) - self._waiting)

    def check_room(self) -> None:
        """Raises QueueFullError while `limits.queued_operations` wait."""
        most = self._tools.rules.queued_operations_max
        if self._waiting >= most:
            raise QueueFullError(f"limits.queued_operations = {most} operations wait already")

    @property
    def _waiting(self) -> int:
        """How many wait for their turn, or for a second person."""
        undecided = (r.operation.state is State.AWAITING_APPROVAL for r in self._runners.values())
        return self.queued + sum(undecided)

    def add(self, operation: Operation, folder: OperationFolder, checkpoint: Checkpoint) -> None:
        """Take an admitted operation, new or found at start."""
        cluster = self._find_pool(operation.order.cluster)
        runner = Runner(operation, folder, checkpoint, cluster, self._tools)
        self._runners[operation.id] = runner
        self._board.add(operation.id, runner.view)
        if checkpoint.cancelling:
            self._start(runner)
            runner.stop(Wish.CANCEL)
        elif operation.state is not State.AWAITING_APPROVAL and operation.paused_by not in _PERSONAL:
            self._queue(runner)

    def _find_pool(self, name: str) -> Cluster:
        """Return the pool that a cluster's name stands for now."""
        return self._clusters.get(name) or cast(Cluster, self._absent.setdefault(name, AbsentCluster(name)))

    def _queue(self, runner: Runner) -> None:
        name = runner.operation.order.cluster
        self._queues.setdefault(name, OrderedDict())[runner.operation.id] = runner
        self._start_next(name)

    def _start_next(self, cluster: str) -> None:
        queue = self._queues.get(cluster)
        moving = cluster in self._moving and self._moving[cluster].locked()
        while queue and not moving and not self._draining and self._running_of(cluster) < RUNNING_MAX:
            _, runner = queue.popitem(last=False)
            self._start(runner)

    def _running_of(self, cluster: str) -> int:
        return sum(self._runners[i].operation.order.cluster == cluster for i in self._tasks)

    def _start(self, runner: Runner) -> None:
        self._tasks[runner.operation.id] = asyncio.get_running_loop().create_task(self._run(runner))

    async def _run(self, runner: Runner) -> None:
        identity = runner.operation.id
        try:
            await runner.run()
        except Exception:
            log.exception("runner broke", extra={"operation": identity})
        finally:
            del self._tasks[identity]
        if runner.operation.state.ended:
            del self._runners[identity]
            self._board.remove(identity)
        self._start_next(runner.operation.order.cluster)

    async def pause(self, operation: int) -> Operation:
        """Stop between requests and stay so until a person resumes. Raises WrongStateError."""
        async with self._turn(operation):
            runner = self.find(operation, "pause")
            if operation not in self._tasks:
                self._unqueue(runner)
                await runner.rest(State.PAUSED, *BY_A_PERSON)
                return runner.view()
        await self._stop(runner, Wish.PAUSE)
        return runner.view()

    async def resume(self, operation: int) -> Operation:
        """Go on with a paused operation; one held by its cluster or the disk goes on by itself."""
        runner = self.find(operation, "resume")
        if runner.operation.paused_by in _PERSONAL and (task := self._tasks.get(operation)):
            # it shows before the ledger has been told
            await asyncio.wait({task}, timeout=runner.patience_s)
        async with self._turn(operation):
            if runner.operation.paused_by in _PERSONAL and operation not in self._tasks:
                await runner.rest(State.QUEUED, None, None)
                self._queue(runner)
        return runner.view()

    async def cancel(self, operation: int) -> Operation:
        """End an operation; rows not sent are named so in its result."""
        runner = self.find(operation, "cancel")
        if runner.operation.state is State.AWAITING_APPROVAL and await self._give_up(operation):
            return runner.view()
        if not await self._end(runner):
            # it had come to rest by the time it heard
            await self._end(runner)
        return runner.view()

    async def _end(self, runner: Runner) -> bool:
        """Have an operation cancel itself, for which it must run. False where it came to rest instead."""
        async with self._turn(runner.operation.id):
            if runner.operation.id not in self._tasks and not runner.operation.state.ended:
                self._unqueue(runner)
                self._start(runner)
        await self._stop(runner, Wish.CANCEL)
        return runner.operation.id in self._tasks or runner.operation.state.ended

    async def _give_up(self, operation: int) -> bool:
        """End an operation that waits for approval. False where it was decided in between."""
        async with self.deciding:
            runner = self.find(operation, "cancel")
            if runner.operation.state is not State.AWAITING_APPROVAL:
                return False
            message = "cancelled before anybody approved it"
            await self.end_waiting(runner, State.CANCELLED, message, runner.operation.approval)
        return True

    async def release(self, runner: Runner, approval: Approval) -> Operation:
        """Let an operation have its turn that has waited for approval."""
        async with self._turn(runner.operation.id):
            await runner.decide(State.QUEUED, None, approval)
            self._queue(runner)
        return runner.view()

    async def end_waiting(
        self, runner: Runner, state: State, message: str, approval: Approval | None
    ) -> Operation:
        """End an operation that has waited for approval; nothing of it was sent."""
        await runner.decide(state, message, approval)
        del self._runners[runner.operation.id]
        self._board.remove(runner.operation.id)
        return runner.view()

    async def put_away(self, operation: int) -> None:
        """Wait until the ledger has been told of an operation's end, as long as that may take."""
        runner, task = self._runners.get(operation), self._tasks.get(operation)
        if runner is not None and task is not None and runner.operation.state.ended:
            await asyncio.wait({task}, timeout=runner.patience_s)

    def find(self, operation: int, action: str) -> Runner:
        """Raises NotFoundError where it is not in hand, WrongStateError where its state forbids it."""
        runner = self._runners.get(operation)
        if runner is None:
            ended = self._board.find(operation)
            if ended is None:
                raise NotFoundError(f"there is no operation {operation} in hand")
            raise WrongStateError(operation, ended.state.value, action)
        if runner.operation.state not in ACTIONS[action]:
            raise WrongStateError(operation, runner.operation.state.value, action)
        return runner

    def _turn(self, operation: int) -> asyncio.Lock:
        return self._turns.setdefault(operation, asyncio.Lock())

    def _unqueue(self, runner: Runner) -> None:
        self._queues.get(runner.operation.order.cluster, OrderedDict()).pop(runner.operation.id, None)

    async def _stop(self, runner: Runner, wish: Wish) -> None:
        """Tell an operation, if it runs, and wait as long as its cluster may take."""
        task = self._tasks.get(runner.operation.id)
        if task is not None:
            runner.stop(wish)
            await asyncio.wait({task}, timeout=runner.patience_s)

    async def change_pool(self, name: str) -> None:
        """Let the operations of a cluster go on with the pool that its name stands for now.

        Those that run come to a stop between requests first: the old pool is free of them afterwards. Without
        a pool they wait, as paused by their cluster.
        """
        async with self._moving.setdefault(name, asyncio.Lock()):
            while movers := self._find_movers(name):
                running = [runner for runner in movers if runner.operation.id in self._tasks]
                await self._halt(running)
                # the last is put first, so that they start in the order of their ids again
                for runner in sorted(movers, key=lambda r: r.operation.id, reverse=True):
                    self._move(runner, requeue=runner in running)
        self._start_next(name)

    def _find_movers(self, name: str) -> list[Runner]:
        pool = self._find_pool(name)
        of_cluster = (r for r in self._runners.values() if r.operation.order.cluster == name)
        return [runner for runner in of_cluster if runner.cluster is not pool]

    async def _halt(self, runners: list[Runner]) -> None:
        for runner in runners:
            runner.stop(Wish.MOVE)
        if tasks := {self._tasks[runner.operation.id] for runner in runners}:
            await asyncio.wait(tasks)

    def _move(self, runner: Runner, *, requeue: bool) -> None:
        operation = runner.operation
        if operation.id in self._tasks or operation.state.ended:
            # a person has cancelled it meanwhile
            return
        runner.meet(self._find_pool(operation.order.cluster))
        if requeue and operation.paused_by not in _PERSONAL:
            queue = self._queues.setdefault(operation.order.cluster, OrderedDict())
            queue[operation.id] = runner
            queue.move_to_end(operation.id, last=False)

    async def drain(self) -> None:
        """Stop all work between requests; what is done is on disk, the rest goes on at the next start."""
        self._draining = True
        for identity in list(self._tasks):
            self._runners[identity].stop(Wish.DRAIN)
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()))

    async def abort(self) -> None:
        """End what has not come to a stop, as a crash would: what its checkpoint says goes on later."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
