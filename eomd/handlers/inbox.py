"""POST /internal/inbox: the watchdog offers files that it has claimed, and learns what has become of each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from eomd.errors import BadRequestError, FieldProblem, InvalidConfigError, RequestError
from eomd.handlers.file_name import clean_name
from eomd.handlers.internal import InternalHandler
from eomd.handlers.requests import ModifyConfig, QueryConfig, validate
from eomd.inbox_layout import parse_taken
from eomd.model import Order
from eomd.operations.dropped import Dropped

#: two hundred claims of the longest names and descriptions there can be
BODY_BYTES_MAX = 8 * 2**20
#: claims looked at in one turn of the loop
TURN = 20


@dataclass(frozen=True, slots=True)
class Claim:
    """One claimed file, as the watchdog says it."""

    taken: str
    name: str
    recipe: str
    size: int
    mtime_ns: int
    #: None where `problem` says why there is no hand-in
    model: str | None
    config: dict[str, Any]
    confirm_repeat: bool
    problem: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    claims: list[Claim]


_OFFER = TypeAdapter(Offer)


class InboxHandler(InternalHandler):
    @property
    def body_bytes_max(self) -> int:
        return BODY_BYTES_MAX

    async def post(self) -> None:
        dropped = []
        for number, claim in enumerate(self.word(_OFFER).claims, 1):
            dropped.append(_parse(claim))
            if number % TURN == 0:
                await asyncio.sleep(0)
        answers = await self.context.desk.inbox.offer(dropped)
        self.answer(
            {
                "answers": [
                    {
                        "taken": each.taken,
                        "verdict": answer.verdict.value,
                        "reason": answer.reason,
                        "operation": answer.operation,
                        "changed": answer.changed,
                    }
                    for each, answer in zip(dropped, answers, strict=True)
                ]
            }
        )


def _parse(claim: Claim) -> Dropped:
    """Return the file with its order, or with what is wrong with that. Raises BadRequestError."""
    if parse_taken(claim.taken) is None:
        raise BadRequestError("a claim's name is not one")
    order: Order | None = None
    problems: tuple[str, ...] = (claim.problem,) if claim.problem else ()
    if not problems:
        try:
            order = _order(claim)
        except InvalidConfigError as error:
            problems = tuple(f"{problem.field}: {problem.reason}" for problem in error.problems)
        except RequestError as error:
            problems = (str(error),)
    return Dropped(
        taken=claim.taken,
        name=claim.name,
        original_name=clean_name(claim.name),
        recipe=claim.recipe,
        size=claim.size,
        mtime_ns=claim.mtime_ns,
        order=order,
        problems=problems,
    )


def _order(claim: Claim) -> Order:
    """Raises InvalidConfigError, TooLargeError."""
    models: dict[str | None, type[QueryConfig]] = {"query": QueryConfig, "modify": ModifyConfig}
    model = models.get(claim.model)
    if model is None:
        raise InvalidConfigError([FieldProblem("model", "expected query or modify")])
    return replace(validate(model, claim.config).order(), confirm_repeat=claim.confirm_repeat)
