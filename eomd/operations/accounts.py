"""Where an ended operation has its rows and outcomes, as its folder says. Blocks on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from eomd.errors import FolderDamagedError, GoneError, NewerFormatError, WrongStateError
from eomd.model import Operation, State
from eomd.operations.reach import SENT_AHEAD_ROWS
from eomd.operations.tools import Tools
from eomd.storage.checkpoint import Checkpoint
from eomd.storage.outcomes import Account
from eomd.storage.settlement import Settlement


def refusal(operation: Operation, action: str, reason: str) -> WrongStateError:
    return WrongStateError(operation.id, operation.state.value, action, reason)


@contextmanager
def reading(operation: Operation, action: str) -> Iterator[None]:
    """Have files that are not there, or not as they were written, speak against an action.

    Raises GoneError, WrongStateError.
    """
    if operation.removed_time is not None:
        raise GoneError(f"operation {operation.id}'s rows", operation.removed_time)
    try:
        yield
    except FolderDamagedError as error:
        raise refusal(operation, action, str(error)) from error
    except FileNotFoundError as error:
        raise refusal(operation, action, "its files are not here") from error


def open_account(operation: Operation, tools: Tools) -> Account:
    """Raises FolderDamagedError where the result is not what the checkpoint speaks of, OSError."""
    data, folder = tools.data, tools.data.operation(operation.id)
    try:
        checkpoint = Checkpoint.load(folder.checkpoint)
    except (NewerFormatError, OSError) as error:
        raise FolderDamagedError(str(error)) from error
    result = data.result(operation.id) if operation.resultname is not None else None
    if result is not None and result.stat().st_size != checkpoint.partial_bytes:
        raise FolderDamagedError("its result is not as it was written")
    return Account(
        order=operation.order,
        rows=folder.rows,
        result=result,
        unsent_from=_unsent_from(operation, checkpoint),
        line_bytes_max=tools.rules.read.line_bytes,
        settlement=Settlement.load(folder.settlement),
    )


def _unsent_from(operation: Operation, checkpoint: Checkpoint) -> int:
    """Return from which row on none was sent, of those that the result does not name."""
    cancelled_at_once = operation.state is State.CANCELLED and operation.resultname is None
    if cancelled_at_once or not checkpoint.started:
        return 0
    bound = checkpoint.sent_until
    return checkpoint.rows + SENT_AHEAD_ROWS if bound is None else bound
