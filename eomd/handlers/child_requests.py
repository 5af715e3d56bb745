"""What may be asked about what comes of an operation: models like those in `requests`. No I/O."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from eomd.handlers.requests import (
    OFFSET_MAX,
    ROWS_LIMIT_MAX,
    Description,
    OperatorId,
    OperatorName,
    Request,
    StrictFlag,
    Whole,
)
from eomd.model import Kind
from eomd.operations.desk import Desire, Verdict

#: rows named in one request
SETTLED_MAX = 100_000

RowNumber = Annotated[int, Whole, Field(ge=0, le=OFFSET_MAX)]


def _read_rows(value: Any) -> Any:
    """Take a list as it is and "all" as None; one check, so that what is wrong is said in one way."""
    if value == "all":
        return None
    if not isinstance(value, list):
        raise PydanticCustomError("rows", 'expected "all" or a list of row numbers')
    if not value:
        raise PydanticCustomError("rows", "must not be empty")
    return value


RowNumbers = Annotated[
    Annotated[tuple[RowNumber, ...], Field(max_length=SETTLED_MAX)] | None,
    BeforeValidator(_read_rows),
    WithJsonSchema(
        {
            "oneOf": [
                {"const": "all"},
                {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 0, "maximum": OFFSET_MAX},
                    "minItems": 1,
                    "maxItems": SETTLED_MAX,
                },
            ]
        }
    ),
]


class ChildRequest(Request):
    """POST /operations/ID/retry, and what all have in common: about the new operation.

    What is absent is as in the old one.
    """

    operatorid: OperatorId | None = None
    operatorname: OperatorName | None = None
    description: Description | None = None

    @model_validator(mode="after")
    def _check_operator(self) -> Self:
        if (self.operatorid is None) != (self.operatorname is None):
            raise PydanticCustomError("operator", "operatorid and operatorname go together")
        return self

    def desire(self) -> Desire:
        return Desire(self.operatorid, self.operatorname, self.description)


class UndoRequest(ChildRequest):
    """POST /operations/ID/undo."""

    #: make a plan of it, to be committed
    dry_run: StrictFlag = False

    def desire(self) -> Desire:
        return replace(super().desire(), dry_run=self.dry_run)


class CommitRequest(ChildRequest):
    """POST /operations/ID/commit."""

    #: rows whose value is not the plan's any more are left alone, and fail as CONFLICT
    only_if_unchanged: StrictFlag | None = None
    #: it is meant although another one of late changed the same
    confirm_repeat: StrictFlag = False
    #: of the plan that was seen, as its summary shows it
    hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    def desire(self) -> Desire:
        return replace(
            super().desire(),
            only_if_unchanged=self.only_if_unchanged,
            confirm_repeat=self.confirm_repeat,
            plan=self.hash,
        )


#: what is asked of each kind
CHILD_REQUESTS: dict[Kind, type[ChildRequest]] = {
    Kind.COMMIT: CommitRequest,
    Kind.RETRY: ChildRequest,
    Kind.UNDO: UndoRequest,
}


class SettleRequest(ChildRequest):
    """POST /operations/ID/settle. The fields of a child are for `send_again`."""

    #: numbers as GET shows them, from 0; None, which is said as "all": those that are open
    rows: RowNumbers
    as_: Annotated[Literal["applied", "not_applied", "send_again"], Field(alias="as")]

    @property
    def verdict(self) -> Verdict:
        return Verdict[self.as_.upper()]


class UncertainRequest(Request):
    """Which uncertain rows."""

    offset: Annotated[int, Whole, Field(ge=0, le=OFFSET_MAX)] = 0
    limit: Annotated[int, Whole, Field(ge=1, le=ROWS_LIMIT_MAX)] = 100
