"""Deciding about operations that wait for a second person: one at a time, each in the audit first."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime

from eomd.errors import (
    EomdError,
    FieldProblem,
    ForbiddenError,
    InvalidConfigError,
    UnavailableError,
    WrongStateError,
)
from eomd.model import Approval, Decision, Operation, Role, State
from eomd.operations.audit import Audit
from eomd.operations.board import Board
from eomd.operations.caller import Caller, Operator
from eomd.operations.schedule import Schedule

log = logging.getLogger(__name__)

#: between two looks at whose time is over
LOOK_S = 5.0
_CALLER = Caller("eomd", Role.ADMIN, "local")
_EXPIRED = "nobody has decided in time"
_ACTIONS = {True: "approve", False: "reject"}
_DONE = {True: "approved", False: "rejected"}


def identify(caller: Caller, operatorid: int | None, operatorname: str | None) -> Operator:
    """Return who decides: the person that the way in tells, or whom a caller names that vouches.

    Raises ForbiddenError where the two differ or the caller is no person, InvalidConfigError where nobody is
    named.
    """
    if operatorid is not None:
        caller = caller.acting_for(Operator(operatorid, operatorname or ""))
    caller.demand_known()
    if caller.operator is None:
        raise InvalidConfigError([FieldProblem("operatorid", "is missing: who decides must be known")])
    return caller.operator


class Approvals:
    """The only way out of `awaiting_approval`, beside a cancel."""

    def __init__(self, schedule: Schedule, board: Board, audit: Audit) -> None:
        self._schedule, self._board, self._audit = schedule, board, audit

    async def decide(
        self, operation: int, person: Operator, reason: str, caller: Caller, *, approve: bool
    ) -> Operation:
        """Let an operation run, or end it.

        Raises NotFoundError, WrongStateError (also when the time is over), ForbiddenError for the one who
        handed it in; and LedgerUnavailableError where the audit cannot be written: then nothing is decided.
        """
        action = _ACTIONS[approve]
        async with self._schedule.deciding:
            waiting = self._schedule.find(operation, action).operation
            if person.id == waiting.order.operatorid:
                raise ForbiddenError(f"operator {person.id} handed it in: another person has to decide")
            now = datetime.now(UTC)
            if _is_due(waiting, now):
                # the server may just have come back, and nobody has looked yet
                raise WrongStateError(operation, waiting.state.value, action, "the time to decide is over")
            decision = Decision(approve, person.id, person.name, reason, now)
            said = {"reason": reason, "operatorid": person.id, "operatorname": person.name}
            await self._audit.write(caller, action, f"operation {operation}", said)
            approval = replace(_asked(waiting), decision=decision)
            return await self._carry_out(
                operation, approval, f"{_DONE[approve]} by {_name(person)}: {reason}"
            )

    async def _carry_out(self, operation: int, approval: Approval, story: str) -> Operation:
        runner = self._schedule.find(operation, "approve")
        await runner.tell(story)
        if approval.decision is not None and approval.decision.approved:
            return await self._schedule.release(runner, approval)
        return await self._schedule.end_waiting(runner, State.REJECTED, story, approval)

    async def expire(self, now: datetime) -> None:
        """Reject what nobody has decided in time; without the ledger it waits on."""
        for identity in [view.id for view in self._board.live() if _is_due(view, now)]:
            async with self._schedule.deciding:
                found = self._board.find(identity)
                if found is not None and _is_due(found, now):
                    await self._audit.write(_CALLER, "expire", f"operation {identity}", {"reason": _EXPIRED})
                    await self._carry_out(identity, _asked(found), f"rejected: {_EXPIRED}")

    async def run(self) -> None:
        """Keep expiring until cancelled."""
        while True:
            try:
                await self.expire(datetime.now(UTC))
            except UnavailableError as error:
                log.info("what nobody has decided waits on: %s", error)
            except EomdError as error:
                log.error("what nobody has decided cannot be rejected: %s", error)
            await asyncio.sleep(LOOK_S)


def _name(person: Operator) -> str:
    return f"{person.name} ({person.id})" if person.name else str(person.id)


def _is_due(operation: Operation, now: datetime) -> bool:
    return operation.state is State.AWAITING_APPROVAL and _asked(operation).expires <= now


def _asked(operation: Operation) -> Approval:
    if operation.approval is None:
        raise RuntimeError(f"operation {operation.id} waits for approval and does not say why")
    return operation.approval
