"""Every error eomd raises on purpose. Facts are fields; `code` is stable and public.

    EomdError
    ├── ConfigurationError            the configuration file or environment is wrong (stop, do not retry)
    ├── RequestError                  the caller's fault; the same request will fail again
    │   ├── BadRequestError           BAD_REQUEST
    │   ├── InvalidConfigError        INVALID_CONFIG, with problems
    │   ├── InvalidFileError          INVALID_FILE, with problems
    │   ├── TooLargeError             TOO_LARGE, names the limit
    │   ├── UnauthenticatedError      UNAUTHENTICATED
    │   ├── ForbiddenError            FORBIDDEN
    │   ├── NotFoundError             NOT_FOUND
    │   ├── GoneError                 GONE, with the time of removal
    │   ├── WrongStateError           WRONG_STATE, names the state
    │   ├── KeyReusedError            KEY_REUSED
    │   └── LooksRepeatedError        LOOKS_REPEATED, names the operations that did the same
    ├── UnavailableError              try again later, after `retry_after_s`
    │   ├── LedgerUnavailableError    LEDGER_UNAVAILABLE
    │   ├── QueueFullError            QUEUE_FULL
    │   ├── TooManyAttemptsError      TOO_MANY_ATTEMPTS: wrong passwords
    │   ├── TooBusyError              TOO_BUSY: connections, event streams
    │   ├── DrainingError             DRAINING
    │   ├── StoppedError              STOPPED: by a person; the watchdog says so in the server's place
    │   └── DiskFullError             DISK_FULL
    ├── ListenError                   an address to listen at is taken or not ours; may be free later
    ├── FolderInUseError              another server holds this data folder
    ├── FileChangedError              a dropped file is still being written to: offer it again
    ├── FolderDamagedError            an operation's own files are not as they were written
    ├── NewerFormatError              a newer eomd wrote it: not to be touched
    ├── JournalDamagedError           what a simulated cluster has decided can't be read whole
    ├── MigrationRefusedError         the old service's unfinished rows stand in the way
    └── EvtError                      speaking to a cluster
        ├── ConnectError              no usable connection came about
        ├── NodeRefusedError          a node answered a probe, and will not serve us; names its state
        ├── FrameError                the peer's bytes are not the dialect; close the connection
        └── EncodeError               we were asked for something the dialect cannot say (ours)

The HTTP status of each stands in one table, in `handlers/answer.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field of a request."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileProblem:
    """What is wrong at one place of a file.

    line: physical line where the record starts, from 1. column: the header, `userid`, `amount` or the EID
    where there is none, None for a whole line. value: at most 100 characters.
    """

    line: int
    column: str | None
    value: str | None
    reason: str


class EomdError(Exception):
    """The root. `str(error)` is one sentence that a person can act on."""

    code = "INTERNAL"


class ConfigurationError(EomdError):
    """`problems` holds a sentence each; str() has one a line."""

    code = "CONFIGURATION"

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class RequestError(EomdError):
    code = "BAD_REQUEST"


class BadRequestError(RequestError):
    code = "BAD_REQUEST"


class InvalidConfigError(RequestError):
    code = "INVALID_CONFIG"

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        said = (f"{p.field}: {p.reason}" if p.field else p.reason for p in self.problems)
        super().__init__("config: " + "; ".join(said))


class InvalidFileError(RequestError):
    """`problems` holds at most `problems_listed_max`, sorted by line; `total_problems` counts all."""

    code = "INVALID_FILE"
    problems_listed_max = 100

    def __init__(self, problems: Sequence[FileProblem], total_problems: int) -> None:
        self.problems = tuple(problems)
        self.total_problems = total_problems
        first = self.problems[0]
        where = f"line {first.line}" + (f", column {first.column}" if first.column else "")
        more = f" (and {total_problems - 1} more)" if total_problems > 1 else ""
        super().__init__(f"{where}: {first.reason}{more}")


class TooLargeError(RequestError):
    code = "TOO_LARGE"

    def __init__(self, limit: str, limit_value: int, unit: str) -> None:
        self.limit, self.limit_value = limit, limit_value
        super().__init__(f"over the limit {limit} = {limit_value} {unit}")


class UnauthenticatedError(RequestError):
    code = "UNAUTHENTICATED"


class ForbiddenError(RequestError):
    code = "FORBIDDEN"


class NotFoundError(RequestError):
    code = "NOT_FOUND"


class GoneError(RequestError):
    code = "GONE"

    def __init__(self, name: str, removed: datetime) -> None:
        self.removed = removed
        super().__init__(f"{name} was removed by retention at {removed.isoformat()}")


class WrongStateError(RequestError):
    code = "WRONG_STATE"

    def __init__(self, operation: int, state: str, action: str, reason: str = "") -> None:
        self.operation, self.state, self.action = operation, state, action
        because = f": {reason}" if reason else ""
        super().__init__(f"operation {operation} is {state}: {action} is not possible{because}")


class KeyReusedError(RequestError):
    code = "KEY_REUSED"


@dataclass(frozen=True, slots=True)
class Repeated:
    """An operation that changed the same before: which, and who handed it in when."""

    id: int
    operatorid: int
    operatorname: str
    create_time: datetime


class LooksRepeatedError(RequestError):
    """`earlier`: newest first, at least one."""

    code = "LOOKS_REPEATED"

    def __init__(self, earlier: Sequence[Repeated]) -> None:
        self.earlier = tuple(earlier)
        last = self.earlier[0]
        who = f"{last.operatorname} ({last.operatorid}), {last.create_time.isoformat(timespec='seconds')}"
        super().__init__(
            f"operation {last.id} changed exactly this before ({who}); with confirm_repeat it is done again"
        )


class UnavailableError(EomdError):
    """Nothing wrong with the request: the same one may succeed after `retry_after_s`."""

    retry_after_s = 5


class LedgerUnavailableError(UnavailableError):
    code = "LEDGER_UNAVAILABLE"
    retry_after_s = 2


class QueueFullError(UnavailableError):
    code = "QUEUE_FULL"


class TooManyAttemptsError(UnavailableError):
    code = "TOO_MANY_ATTEMPTS"

    def __init__(self, reason: str, retry_after_s: int = 1) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(reason)


class TooBusyError(UnavailableError):
    """So many of something are open at a time; names the limit."""

    code = "TOO_BUSY"
    retry_after_s = 5

    def __init__(self, what: str, limit: str = "", value: int = 0) -> None:
        self.limit, self.limit_value = limit, value
        super().__init__(f"{value:,} {what} are open already ({limit}); try again in a moment")


class DrainingError(UnavailableError):
    code = "DRAINING"
    retry_after_s = 2


class StoppedError(UnavailableError):
    code = "STOPPED"
    retry_after_s = 30


class DiskFullError(UnavailableError):
    code = "DISK_FULL"
    retry_after_s = 30


class ListenError(EomdError):
    code = "LISTEN"


class FolderInUseError(EomdError):
    code = "FOLDER_IN_USE"


class FileChangedError(EomdError):
    code = "FILE_CHANGED"


class FolderDamagedError(EomdError):
    code = "FOLDER_DAMAGED"


class NewerFormatError(EomdError):
    code = "NEWER_FORMAT"


class JournalDamagedError(EomdError):
    code = "JOURNAL_DAMAGED"


class MigrationRefusedError(EomdError):
    code = "MIGRATION_REFUSED"


class EvtError(EomdError):
    code = "EVT"


class ConnectError(EvtError):
    code = "EVT_CONNECT"


class NodeRefusedError(EvtError):
    """`state`: `misconfigured`, `draining` or `down`."""

    code = "EVT_NODE_REFUSED"

    def __init__(self, state: str, reason: str) -> None:
        self.state = state
        super().__init__(reason)


class FrameError(EvtError):
    code = "EVT_FRAME"


class EncodeError(EvtError):
    code = "EVT_ENCODE"
