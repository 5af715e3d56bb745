"""What an operation's folder says of it: the manifest (once) and the checkpoint (again and again).

Both are JSON, replaced atomically. Together with `rows.arrow` and the partial result they are all that an
operation needs to go on after a power cut, the ledger being away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from eomd.durable import write_atomically
from eomd.errors import FolderDamagedError, NewerFormatError
from eomd.model import (
    OK_STATUSES,
    Approval,
    Counts,
    Duplicates,
    Mode,
    Model,
    Operation,
    Order,
    PausedBy,
    RowStatus,
    State,
    Verify,
)

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What does not change while an operation lives."""

    uuid: str
    #: the wire's operation
    number: int
    order: Order
    rows: int
    original_name: str
    create_time: datetime
    parent: int | None = None
    kind: str | None = None
    plan: int | None = None

    def save(self, path: Path) -> None:
        fields = asdict(self) | {"format": FORMAT, "create_time": self.create_time.isoformat()}
        write_atomically(path, json.dumps(fields).encode())

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Raises OSError, FolderDamagedError, NewerFormatError."""
        with _reading(path) as fields:
            order = _parse_order(fields.pop("order"))
            created = datetime.fromisoformat(fields.pop("create_time"))
            return cls(order=order, create_time=created, **fields)


@contextmanager
def _reading(path: Path) -> Iterator[dict[str, Any]]:
    """Give a file's fields; whatever is wrong with them means that it is not as it was written."""
    try:
        fields = json.loads(path.read_bytes())
        if fields.pop("format") > FORMAT:
            raise NewerFormatError(f"{path.name} was written by a newer eomd")
        yield fields
    except FileNotFoundError as error:
        raise FolderDamagedError(f"{path.name} is missing") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FolderDamagedError(f"{path.name} is damaged: {type(error).__name__}: {error}") from error


def _parse_order(fields: dict[str, Any]) -> Order:
    mode = fields.pop("mode")
    return Order(
        model=Model(fields.pop("model")),
        eids=tuple(fields.pop("eids")),
        mode=Mode(mode) if mode else None,
        duplicates=Duplicates(fields.pop("duplicates")),
        verify=Verify(fields.pop("verify", Verify.NONE)),
        **fields,
    )


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far an operation is, as the disk knows it."""

    state: State
    paused_by: PausedBy | None = None
    message: str | None = None
    #: rows answered and on disk in the partial result
    rows: int = 0
    #: length of the partial result that holds them, in bytes
    partial_bytes: int = 0
    #: of those rows, by RowStatus number
    statuses: dict[int, int] = field(default_factory=dict)
    #: rows may have been sent
    started: bool = False
    #: rows from here on have surely not been sent; None while they go out under tokens
    sent_until: int | None = None
    #: what was sent was sent under tokens that the cluster remembers
    protected: bool = True
    #: a person has cancelled; what is left is to name the rows not sent
    cancelling: bool = False
    #: the result's name, once there is one
    resultname: str | None = None
    modified: datetime | None = None
    #: operations of late that changed the same, when it was handed in
    repeats: tuple[int, ...] = ()
    #: None where no second person is needed
    approval: Approval | None = None
    #: the first rows are as they should be, or a person has let the others go on
    canary_passed: bool = False
    verifyname: str | None = None
    #: what a dry run goes by, as digests
    conditions: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        fields = asdict(self) | {
            "format": FORMAT,
            "approval": self.approval.format() if self.approval else None,
            "state": self.state.value,
            "modified": self.modified.isoformat() if self.modified else None,
        }
        write_atomically(path, json.dumps(fields).encode())

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Raises OSError, FolderDamagedError, NewerFormatError."""
        with _reading(path) as fields:
            state, paused_by, modified = fields.pop("state"), fields.pop("paused_by"), fields.pop("modified")
            statuses = {int(status): count for status, count in fields.pop("statuses").items()}
            return cls(
                state=State(state),
                paused_by=PausedBy(paused_by) if paused_by else None,
                statuses=statuses,
                modified=datetime.fromisoformat(modified) if modified else None,
                repeats=tuple(fields.pop("repeats", ())),
                approval=Approval.parse(approval) if (approval := fields.pop("approval", None)) else None,
                **fields,
            )


def count_rows(statuses: dict[int, int], total: int) -> Counts:
    """Sum up rows by status. NOT_SENT and PENDING ones are not done."""
    waiting = statuses.get(RowStatus.NOT_SENT, 0) + statuses.get(RowStatus.PENDING, 0)
    done = sum(statuses.values()) - waiting
    ok = sum(statuses.get(status, 0) for status in OK_STATUSES)
    uncertain = statuses.get(RowStatus.UNCERTAIN, 0)
    return Counts(total=total, done=done, ok=ok, failed=done - ok - uncertain, uncertain=uncertain)


def load_operation(operation: int, manifest: Path, checkpoint: Path) -> tuple[Operation, Checkpoint]:
    """Return an operation as its folder's files know it.

    Both are there from the start: without a checkpoint nobody can tell whether rows were sent, or somebody is
    to agree first. Raises OSError, FolderDamagedError, NewerFormatError.
    """
    whole, known = Manifest.load(manifest), Checkpoint.load(checkpoint)
    return compose_operation(operation, whole, known), known


def compose_operation(operation: int, manifest: Manifest, checkpoint: Checkpoint) -> Operation:
    """Return the operation as its folder knows it."""
    return Operation(
        id=operation,
        uuid=manifest.uuid,
        number=manifest.number,
        order=manifest.order,
        state=checkpoint.state,
        counts=count_rows(checkpoint.statuses, manifest.rows),
        create_time=manifest.create_time,
        last_modify_time=checkpoint.modified or manifest.create_time,
        paused_by=checkpoint.paused_by,
        message=checkpoint.message,
        parent=manifest.parent,
        kind=manifest.kind,
        plan=manifest.plan,
        original_name=manifest.original_name,
        sourcename=f"{operation}-source.csv",
        resultname=checkpoint.resultname,
        logname=f"{operation}-log.txt",
        repeats=checkpoint.repeats,
        approval=checkpoint.approval,
        verifyname=checkpoint.verifyname,
    )
