"""What the outside may ask for, one function per request. Handlers parse, call one of these, and render.

Only this file knows which of the operations' parts answers what; it decides nothing itself.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from eomd.durable import write_atomically
from eomd.errors import LedgerUnavailableError, NotFoundError, Repeated, WrongStateError
from eomd.model import ClusterTitle, EidDefinition, Kind, Operation, Order, State
from eomd.operations.activity import Activity
from eomd.operations.approvals import Approvals, identify
from eomd.operations.audit import Audit
from eomd.operations.board import Board, Subscription
from eomd.operations.caller import Caller
from eomd.operations.clusters import ClusterOffice, ClusterView
from eomd.operations.definitions import Definitions
from eomd.operations.derivation import Derivation, Desire
from eomd.operations.evidence import Evidence, EvidenceRoom
from eomd.operations.inbox import Inbox
from eomd.operations.incidents import IncidentBook
from eomd.operations.intake import Intake, Source
from eomd.operations.repeats import Repeats
from eomd.operations.results import Download, Results
from eomd.operations.retention import Retention
from eomd.operations.schedule import Schedule
from eomd.operations.settling import Settling
from eomd.operations.timeline import LINES_MAX, Event, tell_all
from eomd.operations.tools import Tools
from eomd.operations.watch import Watch
from eomd.storage.csv_reader import inspect_source
from eomd.storage.files import parse_stored_name
from eomd.storage.ledger import Ledger, OperationFilter
from eomd.storage.settlement import Verdict
from eomd.watchdog.diary import read_diary

__all__ = ["Caller", "Desire", "Desk", "Download", "Verdict"]


@dataclass(slots=True)
class Desk:
    """The operations room's counter."""

    ledger: Ledger
    board: Board
    schedule: Schedule
    intake: Intake
    repeats: Repeats
    definitions_: Definitions
    results: Results
    clusters_: ClusterOffice
    retention: Retention
    approvals: Approvals
    evidence_: EvidenceRoom
    audit: Audit
    tools: Tools
    watch: Watch
    incidents: IncidentBook
    inbox: Inbox
    derivation: Derivation
    settling: Settling
    activity: Activity

    # --- handing in --------------------------------------------------------------------------------------

    def receiving(self) -> Path:
        """Return a new path for a body being received."""
        return self.tools.data.receiving()

    async def check_intake(self) -> None:
        """Raises what speaks against any hand-in now: DRAINING, QUEUE_FULL, LEDGER_UNAVAILABLE, DISK_FULL."""
        self.intake.check_open()
        await self.intake.check_space()

    def check_order(self, order: Order) -> None:
        """Raises InvalidConfigError for a cluster or EIDs that are not there."""
        self.intake.check_order(order)

    async def hand_in(
        self, order: Order, path: Path, original_name: str, *, key: str | None, caller: Caller
    ) -> tuple[Operation, bool]:
        """Return (operation, whether this call made it); the file at `path` is taken away."""
        return await self._hand_in(order, Source(path, original_name), key, caller)

    async def hand_in_upload(
        self, order: Order, sourcename: str, *, key: str | None, caller: Caller
    ) -> tuple[Operation, bool]:
        """Hand in a file that was uploaded before. Raises NotFoundError for a name that is none."""
        path = self.tools.data.upload(sourcename)
        if path is None or not path.exists():
            raise NotFoundError(f"there is no upload {sourcename!r}")
        original = await self._serve(_original_name, path)
        handed_in = await self._hand_in(order, Source(path, original, movable=False), key, caller)
        await self._serve(_mark_used, path, original)
        return handed_in

    async def _hand_in(
        self, order: Order, source: Source, key: str | None, caller: Caller
    ) -> tuple[Operation, bool]:
        caller.demand_order(order)
        operation, created = await self.intake.hand_in(order, source, key)
        if created:
            detail = {"note": order.note, "repeats": operation.repeats}
            await self.audit.note(caller, "hand_in", f"operation {operation.id}", detail)
        return operation, created

    async def earlier(self, operation: Operation) -> list[Repeated]:
        """Return who did what a new operation repeats, and when; nobody while the ledger is away."""
        try:
            return await self.repeats.describe(operation.repeats)
        except LedgerUnavailableError:
            # it is handed in, and its answer must say so
            return []

    async def upload(self, path: Path, original_name: str) -> dict[str, Any]:
        """Keep a file for later hand-ins and tell what it is."""
        inspection = await self._serve(inspect_source, path, self.tools.rules.read)
        kept = self.tools.data.new_upload()
        await self._serve(_keep_upload, path, kept, original_name)
        return {"sourcename": kept.name, **asdict(inspection)}

    # --- looking -----------------------------------------------------------------------------------------

    async def operation(self, operation: int) -> Operation:
        """Raises NotFoundError, LedgerUnavailableError."""
        shown = self.board.find(operation)
        shown = shown or await self.ledger.operation(operation)
        if shown is None:
            raise NotFoundError(f"there is no operation {operation}")
        return shown

    def rate(self, operation: int) -> tuple[float, float | None]:
        """Return (rows per second of late, seconds left or None)."""
        return self.board.rate(operation)

    async def operations(self, wanted: OperationFilter) -> tuple[int | None, list[Operation]]:
        """Return (total, None with `before`; one page, newest first), each as it stands this moment."""
        total, items = await self.ledger.operations(wanted)
        return total, [self.board.find(item.id) or item for item in items]

    async def wait(self, operation: int, seconds: float) -> Operation:
        """Return the operation when it has ended or the time is over."""
        subscription = self.board.subscribe(operation)
        try:
            async with asyncio.timeout(seconds):
                while not (await self.operation(operation)).state.ended:
                    await anext(subscription)
        except TimeoutError:
            pass
        finally:
            subscription.close()
        return await self.operation(operation)

    def subscribe(self, operation: int | None = None) -> Subscription:
        return self.board.subscribe(operation)

    async def rows(
        self, operation: int, status: str | None, offset: int, limit: int, user: int | None = None
    ) -> dict[str, Any]:
        return await self.results.rows(await self.operation(operation), status, offset, limit, user)

    async def summary(self, operation: int) -> dict[str, Any]:
        """Return the result's summary; of a plan's commit that waits for a second person, the plan's."""
        shown = await self.operation(operation)
        if shown.state is State.AWAITING_APPROVAL and shown.plan is not None:
            shown = await self.operation(shown.plan)
        return await self.results.summary(shown)

    async def timeline(self, operation: int) -> list[Event]:
        """Return everything that happened to an operation. Raises NotFoundError, LedgerUnavailableError."""
        shown = await self.operation(operation)
        audit = await self.ledger.audit_of(f"operation {operation}")
        lines = await self._serve(_read_log, self.tools.data.log(operation))
        return tell_all(shown, audit, lines)

    async def open_download(
        self, name: str, caller: Caller, *, failed_only: bool = False, bom: bool = True
    ) -> Download:
        """Find a source, result or log by its name. Raises NotFoundError, ForbiddenError, GoneError."""
        identity = parse_stored_name(name)
        if identity is None:
            raise NotFoundError(f"there is no file {name!r}")
        operation = await self.operation(identity)
        caller.demand_order(operation.order)
        return await self.results.download(operation, name, failed_only=failed_only, bom=bom)

    async def evidence(self, operation: int, caller: Caller) -> Evidence:
        """Collect everything there is of an ended operation. Raises NotFoundError, WrongStateError."""
        shown = await self.operation(operation)
        plan = None if shown.plan is None else await self.operation(shown.plan)
        evidence = await self.evidence_.collect(shown, plan, caller)
        await self.audit.note(caller, "evidence", f"operation {operation}", {})
        return evidence

    # --- acting ------------------------------------------------------------------------------------------

    async def cancel(self, operation: int, caller: Caller) -> Operation:
        return await self._act("cancel", operation, caller)

    async def pause(self, operation: int, caller: Caller) -> Operation:
        return await self._act("pause", operation, caller)

    async def resume(self, operation: int, caller: Caller) -> Operation:
        return await self._act("resume", operation, caller)

    async def _act(self, action: str, operation: int, caller: Caller) -> Operation:
        """Raises NotFoundError, WrongStateError."""
        acts = {"cancel": self.schedule.cancel, "pause": self.schedule.pause, "resume": self.schedule.resume}
        acted = await self._in_hand(operation, action, acts[action](operation))
        await self.audit.note(caller, action, f"operation {operation}", {})
        return acted

    async def decide(
        self, operation: int, caller: Caller, said: Mapping[str, Any], *, approve: bool
    ) -> Operation:
        """Approve or reject as a second person; `said`: reason, operatorid, operatorname.

        Raises NotFoundError, WrongStateError, ForbiddenError, InvalidConfigError, LedgerUnavailableError.
        """
        person = identify(caller, said["operatorid"], said["operatorname"])
        deciding = self.approvals.decide(operation, person, said["reason"], caller, approve=approve)
        return await self._in_hand(operation, "approve" if approve else "reject", deciding)

    async def _in_hand(self, operation: int, action: str, acting: Awaitable[Operation]) -> Operation:
        """Return what an act gives; what is not in hand any more is in the wrong state for it."""
        try:
            return await acting
        except NotFoundError:
            known = await self.operation(operation)
            raise WrongStateError(operation, known.state.value, action) from None

    async def derive(
        self, kind: Kind, operation: int, desire: Desire, caller: Caller
    ) -> tuple[Operation, bool]:
        """Return (the operation that comes of another one in this way, whether this call made it)."""
        child, created = await self.derivation.derive(kind, operation, desire)
        if created:
            planned = kind is Kind.UNDO and desire.dry_run
            action = Kind.UNDO_PLAN if planned else kind
            await self._note_child(caller, action.value, operation, child, {})
            if child.parent not in (operation, None):
                # the commit of an undo's plan is the undo of what was planned for
                made = {"child": child.id, "rows": child.counts.total, "note": child.order.note}
                await self.audit.note(caller, Kind.UNDO.value, f"operation {child.parent}", made)
        return child, created

    async def _note_child(
        self, caller: Caller, action: str, parent: int, child: Operation, detail: Mapping[str, Any]
    ) -> None:
        """Put into the audit what made a child, of the parent and of the child."""
        made = {"child": child.id, "rows": child.counts.total, "note": child.order.note}
        born = {"parent": parent, "note": child.order.note, "repeats": child.repeats}
        deeds = [(f"operation {parent}", {**made, **detail}), (f"operation {child.id}", {**born, **detail})]
        await self.audit.note_all(caller, action, deeds)

    async def uncertain(self, operation: int, offset: int, limit: int) -> dict[str, Any]:
        """Return uncertain rows with what the cluster has now, as `Settling.show`."""
        return await self.settling.show(operation, offset, limit)

    async def settle(
        self, operation: int, rows: Sequence[int] | None, verdict: Verdict, desire: Desire, caller: Caller
    ) -> tuple[Operation, bool]:
        """Decide about uncertain rows; return (the operation, or what sends them again, anything decided).

        Raises ForbiddenError for a caller who is no known person, and as `Settling.settle`.
        """
        caller.demand_known()
        # else its end, told late, would stand in the ledger over what is settled now
        await self.schedule.put_away(operation)
        settled, count = await self.settling.settle(operation, rows, verdict, desire)
        detail = {"as": verdict.word, "rows": count}
        if count and verdict is Verdict.SEND_AGAIN:
            await self._note_child(caller, "settle", operation, settled, detail)
        elif count:
            await self.audit.note(caller, "settle", f"operation {operation}", detail)
        return settled, count > 0

    # --- clusters and definitions ------------------------------------------------------------------------

    def clusters(self) -> list[ClusterView]:
        return self.clusters_.views()

    async def set_cluster(
        self, name: str, caller: Caller, *, rows_per_s: int | None = None, drain: bool | None = None
    ) -> ClusterView:
        """Change a cluster's pace or park its operations, remembered over restarts."""
        view = await self.clusters_.change(name, rows_per_s=rows_per_s, drain=drain)
        changes = {"rows_per_s": rows_per_s, "drain": drain}
        await self.audit.note(caller, "set_cluster", f"cluster {name}", changes)
        return view

    def recycle(self, name: str) -> None:
        """Replace a cluster's connections. Raises NotFoundError."""
        self.clusters_.recycle(name)

    async def definitions(self) -> tuple[list[ClusterTitle], list[EidDefinition]]:
        return await self.definitions_.refresh()

    async def put_definitions(
        self, titles: Sequence[ClusterTitle], eids: Sequence[EidDefinition], caller: Caller
    ) -> None:
        await self.definitions_.replace(titles, eids)
        await self.audit.note(caller, "put_definitions", "definitions", {"eids": len(eids)})

    # --- the server --------------------------------------------------------------------------------------

    def begin_draining(self) -> None:
        """Refuse new hand-ins from now on."""
        self.intake.draining = True

    def components(self) -> dict[str, Any]:
        """Return how each part stands, for /health and the overview."""
        ledger = self.ledger.state
        return {
            "ledger": {
                "state": "up" if ledger.up else "down",
                "since": ledger.since.isoformat(),
                "latency_ms": ledger.latency_ms,
                "last_error": ledger.last_error,
                "spooled": self.tools.recorder.pending,
                "probe": self.watch.ledger_state,
            },
            "clusters": {view.name: view.state for view in self.clusters()},
            "operations": {"queued": self.schedule.queued, "running": self.schedule.running},
            "disk": self._disk(),
            **self.watch.components(),
        }

    def _disk(self) -> dict[str, Any]:
        free_mb, min_free_mb, seen = self.tools.data.free_mb(), self.tools.rules.min_free_mb, self.watch.disk
        state = "short" if free_mb < min_free_mb else "low" if free_mb < 2 * min_free_mb else "up"
        since = seen.since.isoformat() if seen is not None and seen.state == state else None
        return {"state": state, "since": since, "free_mb": round(free_mb), "min_free_mb": min_free_mb}

    def live(self) -> list[Operation]:
        """Return the operations that have not ended."""
        return list(self.board.live())

    async def diary(self, count: int) -> list[dict[str, Any]]:
        """Return who started, stopped and killed the server, when and why, newest first."""
        entries = await self._serve(read_diary, self.tools.data.path / "watchdog", count)
        return list(reversed(entries))

    async def _serve(self, work: Any, *arguments: object) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.tools.executors.serving, partial(work, *arguments))


def _read_log(log: Path) -> list[str]:
    """Return the lines of an operation's log; nothing where retention has removed it."""
    with suppress(FileNotFoundError), log.open(encoding="utf-8", errors="replace") as lines:
        return list(deque(lines, LINES_MAX))
    return []


def _note_of(upload: Path) -> Path:
    return upload.with_suffix(".json")


def _keep_upload(path: Path, kept: Path, original_name: str) -> None:
    """Give an upload its name; beside it stands what its owner called it."""
    _write_note(kept, original_name, used=False)
    os.replace(path, kept)


def _write_note(upload: Path, original_name: str, *, used: bool) -> None:
    write_atomically(_note_of(upload), json.dumps({"original_name": original_name, "used": used}).encode())


def _original_name(upload: Path) -> str:
    note: Mapping[str, Any] = json.loads(_note_of(upload).read_bytes())
    return str(note["original_name"])


def _mark_used(upload: Path, original_name: str) -> None:
    # what was handed in has its own copy of the name: a full disk lets the upload go early, nothing else
    with suppress(OSError):
        _write_note(upload, original_name, used=True)
