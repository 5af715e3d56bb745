"""What goes into the ledger and comes out of it about operations: records, and their rows' columns.

Reading tolerates whatever the old services left in `define_optgroup`; writing is exact. No SQL here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Any, TypeVar

from eomd.model import (
    STATE_OF_STATUS,
    UNLIMITED,
    Approval,
    Counts,
    Duplicates,
    Grants,
    Mode,
    Model,
    Operation,
    Order,
    PausedBy,
    State,
    Verify,
)
from eomd.storage.schema import EPOCH, format_time, parse_time, storable

#: characters of `message` that are kept
MESSAGE_CHARACTERS_MAX = 4000
PAGE_SIZE_MAX = 200

#: one row of `define_optgroup` LEFT JOIN `eom_operation`; the latter's columns are prefixed
Row = Mapping[Any, Any]
OWN = "eom_"

Word = TypeVar("Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class NewOperation:
    """An operation that is to be admitted."""

    #: of the hand-in; unique
    uuid: str
    #: the wire's operation, u63
    number: int
    order: Order
    rows: int
    #: as the operator's machine named the file
    original_name: str
    #: the data folder's origin, hex
    installation: str
    idempotency_key: str | None = None
    content_hash: str | None = None
    #: of what a modify changes, whatever its rows' order; None: changes nothing
    change_hash: str | None = None
    #: ids below are taken by files of an older database
    minimum_id: int = 1
    #: operations of late that changed the same
    repeats: tuple[int, ...] = ()
    #: None where no second person is needed
    approval: Approval | None = None
    message: str | None = None
    parent: int | None = None
    kind: str | None = None
    plan: int | None = None
    state: State = State.QUEUED
    create_time: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class OperationChange:
    """A state of an operation that is to be recorded: the whole of it, so that a later one replaces it."""

    id: int
    uuid: str
    state: State
    paused_by: PausedBy | None
    message: str | None
    counts: Counts
    #: None leaves the one that is there
    resultname: str | None
    time: datetime
    approval: Approval | None = None
    verifyname: str | None = None

    @classmethod
    def of(cls, operation: Operation) -> OperationChange:
        """Raises ValueError for a foreign row, which is never written."""
        if operation.uuid is None:
            raise ValueError(f"operation {operation.id} is foreign")
        return cls(
            id=operation.id,
            uuid=operation.uuid,
            state=operation.state,
            paused_by=operation.paused_by,
            message=operation.message,
            counts=operation.counts,
            resultname=operation.resultname,
            time=operation.last_modify_time,
            approval=operation.approval,
            verifyname=operation.verifyname,
        )

    def format(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "id": self.id,
            "uuid": self.uuid,
            "state": self.state.value,
            "paused_by": self.paused_by,
            "message": self.message,
            "counts": {each.name: getattr(self.counts, each.name) for each in fields(Counts)},
            "resultname": self.resultname,
            "time": self.time.isoformat(),
            "approval": self.approval.format() if self.approval else None,
            "verifyname": self.verifyname,
        }

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> OperationChange:
        """Inverse of `format`. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            id=int(values["id"]),
            uuid=str(values["uuid"]),
            state=State(values["state"]),
            paused_by=PausedBy(values["paused_by"]) if values["paused_by"] else None,
            message=values["message"],
            counts=Counts(**values["counts"]),
            resultname=values["resultname"],
            time=datetime.fromisoformat(values["time"]),
            approval=Approval.parse(values["approval"]) if values.get("approval") else None,
            verifyname=values.get("verifyname"),
        )


@dataclass(frozen=True, slots=True)
class OperationFilter:
    """Which operations to list. None: whatever it is."""

    operatorid: int | None = None
    #: from <= create_time < to
    from_: datetime | None = None
    to: datetime | None = None
    state: State | None = None
    cluster: str | None = None
    model: Model | None = None
    #: text within the description, the source's name or the note
    q: str | None = None
    #: older than this one
    before: int | None = None
    #: only operations that are within these; foreign ones are within UNLIMITED alone
    grants: Grants = UNLIMITED
    page: int = 1
    #: 1 … PAGE_SIZE_MAX
    page_size: int = 20


def hash_key(key: str) -> str:
    """Return what is kept of an Idempotency-Key: as long as any other, and compared byte by byte."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def optgroup_values(new: NewOperation, zone: tzinfo) -> dict[str, Any]:
    """Return a new operation's columns of `define_optgroup`, without its id and what depends on it."""
    order, now = new.order, format_time(new.create_time, zone)
    return {
        **state_values(new.state),
        "description": order.description,
        "conf": _json(_conf(order, new.original_name)),
        "operatorid": order.operatorid,
        "operatorname": order.operatorname,
        "note": order.note,
        "create_time": now,
        "last_modify_time": now,
    }


def name_values(operation: int) -> dict[str, str]:
    """Return the columns that hold a new operation's file names."""
    return {"sourcename": source_name(operation), "logname": log_name(operation)}


def source_name(operation: int) -> str:
    return f"{operation}-source.csv"


def log_name(operation: int) -> str:
    return f"{operation}-log.txt"


def state_of(status: object) -> State:
    """Return the state a `status` column names; FOREIGN for a number that eomd does not write."""
    return STATE_OF_STATUS.get(_integer(status, -1), State.FOREIGN)


def state_values(state: State) -> dict[str, int]:
    return dict(state.numbers._asdict())


def operation_values(new: NewOperation, operation: int) -> dict[str, Any]:
    """Return a new operation's columns of `eom_operation`."""
    order, now = new.order, format_time(new.create_time)
    conf = _conf(order, new.original_name)
    exact = {"description": order.description, "operatorname": order.operatorname}
    return {
        "id": operation,
        "uuid": new.uuid,
        "number": new.number,
        "installation": new.installation,
        "operatorid": order.operatorid,
        "cluster": order.cluster,
        "model": str(order.model),
        # what eomd goes by: the columns that others can write to may be narrower, and change
        "order_json": _json(conf | exact),
        "original_name": storable(new.original_name),
        **count_values(Counts(total=new.rows)),
        "parent": new.parent,
        "kind": new.kind,
        "plan": new.plan,
        "idempotency_key": hash_key(new.idempotency_key) if new.idempotency_key is not None else None,
        "content_hash": new.content_hash,
        "change_hash": new.change_hash,
        "repeats": json.dumps(new.repeats) if new.repeats else None,
        "message": _message(new.message),
        "approval": _approval(new.approval),
        "create_time": now,
        "last_modify_time": now,
    }


def change_values(change: OperationChange) -> dict[str, Any]:
    """Return a change's columns of `eom_operation`."""
    return {
        "paused_by": str(change.paused_by) if change.paused_by else None,
        "message": _message(change.message),
        "approval": _approval(change.approval),
        "verifyname": change.verifyname,
        "last_modify_time": format_time(change.time),
        **count_values(change.counts),
    }


def _message(text: str | None) -> str | None:
    return storable(text)[:MESSAGE_CHARACTERS_MAX] if text else None


def _approval(approval: Approval | None) -> str | None:
    return None if approval is None else json.dumps(approval.format())


def count_values(counts: Counts) -> dict[str, int]:
    return {each.name: getattr(counts, each.name) for each in fields(Counts)}


def admitted(new: NewOperation, operation: int) -> Operation:
    """Return the operation that a hand-in has become."""
    return Operation(
        id=operation,
        uuid=new.uuid,
        number=new.number,
        order=new.order,
        state=new.state,
        counts=Counts(total=new.rows),
        create_time=new.create_time,
        last_modify_time=new.create_time,
        parent=new.parent,
        kind=new.kind,
        plan=new.plan,
        original_name=new.original_name,
        sourcename=source_name(operation),
        logname=log_name(operation),
        repeats=new.repeats,
        approval=new.approval,
        message=new.message,
    )


def parse_operation(row: Row, zone: tzinfo) -> Operation:
    """Return a row's operation, FOREIGN where eomd has not written it."""
    return _foreign(row, zone) if row[OWN + "uuid"] is None else _own(row, zone)


def _own(row: Row, zone: tzinfo) -> Operation:
    conf = _parse_conf(row[OWN + "order_json"])
    created = parse_time(row[OWN + "create_time"]) or EPOCH
    return Operation(
        id=row["id"],
        uuid=row[OWN + "uuid"],
        number=row[OWN + "number"],
        order=_order(conf, row[OWN + "operatorid"], _text(conf.get("description")), conf.get("operatorname")),
        state=state_of(row["status"]),
        counts=Counts(**{each.name: row[OWN + each.name] or 0 for each in fields(Counts)}),
        create_time=created,
        last_modify_time=parse_time(row[OWN + "last_modify_time"]) or created,
        paused_by=_word(PausedBy, row[OWN + "paused_by"]),
        message=row[OWN + "message"],
        parent=row[OWN + "parent"],
        kind=row[OWN + "kind"],
        plan=row[OWN + "plan"],
        original_name=_text(row[OWN + "original_name"]),
        removed_time=parse_time(row[OWN + "removed_time"]),
        repeats=tuple(json.loads(row[OWN + "repeats"] or "[]")),
        approval=Approval.parse(json.loads(said)) if (said := row[OWN + "approval"]) else None,
        verifyname=_name(row[OWN + "verifyname"]),
        sourcename=_name(row["sourcename"]),
        resultname=_name(row["resultname"]),
        logname=_name(row["logname"]),
    )


def _foreign(row: Row, zone: tzinfo) -> Operation:
    conf = _parse_conf(row["conf"])
    created, modified = parse_time(row["create_time"], zone), parse_time(row["last_modify_time"], zone)
    if not conf.get("mode"):
        conf["mode"] = _text(row["note"]).partition("_")[0]
    return Operation(
        id=_integer(row["id"], 0),
        uuid=None,
        number=None,
        order=_order(conf, row["operatorid"], _text(row["description"]), row["operatorname"]),
        state=State.FOREIGN,
        counts=Counts(),
        create_time=created or modified or EPOCH,
        last_modify_time=modified or created or EPOCH,
        original_name=_text(conf.get("filename")),
        sourcename=_name(row["sourcename"]),
        resultname=_name(row["resultname"]),
        logname=_name(row["logname"]),
    )


def _name(value: object) -> str | None:
    return _text(value) or None


def _conf(order: Order, filename: str) -> dict[str, Any]:
    conf = {
        "cluster": order.cluster,
        "model": order.model,
        "mode": order.mode,
        "eids": list(order.eids),
        "filename": filename,
        "amount": order.amount,
        "duplicates": order.duplicates,
        "dry_run": order.dry_run,
        "only_if_unchanged": order.only_if_unchanged or None,
        "canary_rows": order.canary_rows or None,
        "canary_wait": order.canary_wait or None,
        "verify": order.verify if order.verify is not Verify.NONE else None,
    }
    return {name: value for name, value in conf.items() if value is not None}


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if storable(text) == text else json.dumps(value)


def _parse_conf(text: object) -> dict[str, Any]:
    try:
        conf = json.loads(_text(text))
    except ValueError:
        return {}
    return conf if isinstance(conf, dict) else {}


def _order(conf: Mapping[str, Any], operatorid: object, description: str, operatorname: object) -> Order:
    mode = _word(Mode, conf.get("mode"))
    amount = conf.get("amount")
    return Order(
        model=_word(Model, conf.get("model")) or (Model.MODIFY if mode else Model.QUERY),
        cluster=_text(conf.get("cluster")),
        eids=_eids(conf.get("eids")),
        mode=mode,
        amount=None if amount is None else _integer(amount, 0),
        duplicates=_word(Duplicates, conf.get("duplicates")) or Duplicates.ALLOW,
        dry_run=conf.get("dry_run") is True,
        only_if_unchanged=conf.get("only_if_unchanged") is True,
        canary_rows=_integer(conf.get("canary_rows"), 0),
        canary_wait=conf.get("canary_wait") is True,
        verify=_word(Verify, conf.get("verify")) or Verify.NONE,
        description=description,
        operatorid=_integer(operatorid, 0),
        operatorname=_text(operatorname),
    )


def _eids(value: object) -> tuple[int, ...]:
    listed = value if isinstance(value, list) else _text(value).split(",")
    numbers = (_integer(each, 0) for each in listed)
    return tuple(number for number in numbers if number > 0)


def _word(kind: type[Word], value: object) -> Word | None:
    try:
        return kind(_text(value).lower())
    except ValueError:
        return None


def _integer(value: object, otherwise: int) -> int:
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        return otherwise


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)
