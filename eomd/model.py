"""The words of the domain: models, modes, states, row statuses and the records made of them. No I/O.

Imports neither numpy nor anything of eomd but `errors`, so that the watchdog may use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum, IntEnum, StrEnum
from typing import Any, NamedTuple

EIDS_MAX = 16
EID_MAX = 2**32 - 1
USER_MAX = 2**63 - 1
VALUE_MAX = 2**63 - 1
VALUE_MIN = -(2**63)
DESCRIPTION_CHARACTERS_MAX = 255


class Model(StrEnum):
    """The ledger's `conf.model`."""

    QUERY = "query"
    MODIFY = "modify"


class Mode(StrEnum):
    """What a modify does to a counter. The value of RESTORE is used by undo alone."""

    INC = "inc"
    DEC = "dec"
    SET = "set"
    RESTORE = "restore"


class Duplicates(StrEnum):
    """What becomes of a user that stands in a file twice."""

    REFUSE = "refuse"
    ALLOW = "allow"
    LAST = "last"


class Kind(StrEnum):
    """How an operation comes from another one, of which it may have one of each."""

    COMMIT = "commit"
    RETRY = "retry"
    UNDO = "undo"
    #: a dry run of one; the commit of it is the undo
    UNDO_PLAN = "undo-plan"
    #: sends uncertain rows again; numbered from 1, `again-1`, as each may be sent again for itself
    AGAIN = "again"


class Verify(StrEnum):
    """Which rows of a modify are read back once it is through."""

    NONE = "none"
    SAMPLE = "sample"
    ALL = "all"


class PausedBy(StrEnum):
    """Why an operation is paused. Only a person lifts PERSON, BRAKE and CANARY."""

    PERSON = "person"
    CLUSTER = "cluster"
    DISK = "disk"
    BRAKE = "brake"
    CANARY = "canary"


class Role(IntEnum):
    """Who may do what; each role may do what the lower ones may."""

    VIEWER = 1
    OPERATOR = 2
    APPROVER = 3
    ADMIN = 4

    @classmethod
    def parse(cls, name: str) -> Role:
        """Raise KeyError for a name that is not a role."""
        return cls[name.upper()]

    def format(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Grants:
    """Which counters somebody may reach. None: whichever there are."""

    clusters: frozenset[str] | None = None
    eids: frozenset[int] | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is kept from them."""
        return self.clusters is None and self.eids is None

    def has_cluster(self, cluster: str) -> bool:
        return self.clusters is None or cluster in self.clusters

    def missing_eids(self, eids: Iterable[int]) -> list[int]:
        """Return those that are not granted."""
        return [] if self.eids is None else [eid for eid in eids if eid not in self.eids]


#: nothing is kept from them
UNLIMITED = Grants()


class LedgerNumbers(NamedTuple):
    """How a state stands in the old table."""

    status: int
    executed: int
    handleres: int


class State(Enum):
    """An operation's state, in the operator's words, with its numbers in `define_optgroup`."""

    QUEUED = "queued"
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    FOREIGN = "foreign"

    @property
    def numbers(self) -> LedgerNumbers:
        """Raise KeyError for FOREIGN: such a row is never written."""
        return _NUMBERS[self]

    @property
    def ended(self) -> bool:
        return self in ENDED


_NUMBERS = {
    State.QUEUED: LedgerNumbers(0, 0, 0),
    State.AWAITING_APPROVAL: LedgerNumbers(1, 0, 0),
    State.RUNNING: LedgerNumbers(2, 0, 0),
    State.PAUSED: LedgerNumbers(3, 0, 0),
    State.SUCCEEDED: LedgerNumbers(10, 1, 10),
    State.PARTIAL: LedgerNumbers(11, 1, 11),
    State.FAILED: LedgerNumbers(20, 1, 20),
    State.CANCELLED: LedgerNumbers(21, 1, 21),
    State.REJECTED: LedgerNumbers(22, 1, 22),
}
STATE_OF_STATUS = {numbers.status: state for state, numbers in _NUMBERS.items()}

ENDED = frozenset({State.SUCCEEDED, State.PARTIAL, State.FAILED, State.CANCELLED, State.REJECTED})
UNFINISHED = frozenset({State.QUEUED, State.AWAITING_APPROVAL, State.RUNNING, State.PAUSED})

#: Every edge of the operation's state machine; there are no others (`docs/states.md`).
TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.PAUSED, State.CANCELLED, State.FAILED}),
    State.AWAITING_APPROVAL: frozenset({State.QUEUED, State.REJECTED, State.CANCELLED, State.FAILED}),
    State.RUNNING: frozenset({State.PAUSED, State.SUCCEEDED, State.PARTIAL, State.FAILED, State.CANCELLED}),
    # what was answered before its cluster went away is written, and may be all there is
    State.PAUSED: frozenset({State.QUEUED, State.RUNNING, *ENDED}) - {State.REJECTED},
}

#: ended, and not because a second person forbade it
_CARRIED_OUT = ENDED - {State.REJECTED}

#: The states a person's action is allowed in.
ACTIONS: dict[str, frozenset[State]] = {
    "cancel": UNFINISHED,
    "pause": frozenset({State.QUEUED, State.RUNNING}),
    "resume": frozenset({State.PAUSED}),
    "commit": frozenset({State.SUCCEEDED, State.PARTIAL}),
    "retry": _CARRIED_OUT,
    "undo": _CARRIED_OUT,
    "settle": _CARRIED_OUT,
    "approve": frozenset({State.AWAITING_APPROVAL}),
    "reject": frozenset({State.AWAITING_APPROVAL}),
}


def may_become(state: State, following: State) -> bool:
    """Tell whether the state machine has this edge."""
    return following in TRANSITIONS.get(state, frozenset())


class RowStatus(IntEnum):
    """What became of a row. Up to INTERNAL as the wire says it; from 200 on eomd's own."""

    OK = 0
    REPLAYED = 1
    NO_SUCH_USER = 10
    NO_SUCH_EID = 11
    OUT_OF_RANGE = 12
    USER_LOCKED = 13
    READ_ONLY = 14
    CONFLICT = 15
    TOKEN_MISUSED = 16
    BUSY = 20
    INTERNAL = 21
    #: sent, and nobody knows whether it was done
    UNCERTAIN = 200
    #: never sent, or sent and surely not done, before the operation was cancelled
    NOT_SENT = 201
    #: a later line of the same user was sent instead; counts as ok
    SUPERSEDED = 202
    #: not answered yet; never leaves the server
    PENDING = 255

    @property
    def result_name(self) -> str:
        """The name in a result file: REPLAYED is written OK."""
        return "OK" if self is RowStatus.REPLAYED else self.name


#: `detail` where no counter decided
NO_DETAIL = 255

OK_STATUSES = frozenset({RowStatus.OK, RowStatus.REPLAYED, RowStatus.SUPERSEDED})
FINAL_FAILURES = frozenset(s for s in RowStatus if 10 <= s <= 16)
RETRIED_STATUSES = frozenset({RowStatus.BUSY, RowStatus.INTERNAL})


class NodeState(StrEnum):
    """A cluster's node as the connections see it."""

    CONNECTING = "connecting"
    UP = "up"
    DRAINING = "draining"
    DOWN = "down"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """A node of a cluster and its budget."""

    host: str
    port: int
    #: connections at most, the watchdog's probe aside
    connections: int = 4

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of an operation by what became of them."""

    total: int = 0
    #: answered, in whatever way; NOT_SENT rows are not
    done: int = 0
    #: OK, REPLAYED and SUPERSEDED
    ok: int = 0
    failed: int = 0
    uncertain: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator asked for: the validated `config` of a hand-in, without the file."""

    model: Model
    cluster: str
    #: 1 … EIDS_MAX of them, no duplicates, in the operator's order
    eids: tuple[int, ...]
    #: None for a query
    mode: Mode | None = None
    #: one amount for every row and EID; None where the file holds them
    amount: int | None = None
    duplicates: Duplicates = Duplicates.ALLOW
    dry_run: bool = False
    #: rows hold would-be values and the ones they start from, others are left alone; of a dry run: those of
    #: its commit will
    only_if_unchanged: bool = False
    #: a modify that repeats another one of late is meant
    confirm_repeat: bool = False
    #: so many rows are sent first, read back, and then the others; 0: none
    canary_rows: int = 0
    #: the others wait for a person, whatever reading back says
    canary_wait: bool = False
    verify: Verify = Verify.NONE
    description: str = ""
    operatorid: int = 0
    operatorname: str = ""

    @property
    def note(self) -> str:
        """The ledger's record of a modify: `inc_1001,1002`; empty for a query."""
        return f"{self.mode}_{','.join(map(str, self.eids))}" if self.mode else ""

    @property
    def sent_mode(self) -> Mode | None:
        """How its rows are sent; None where they are only read."""
        if self.dry_run or self.mode is None:
            return None
        return Mode.RESTORE if self.only_if_unchanged else self.mode


@dataclass(frozen=True, slots=True)
class Decision:
    """What a second person has said to an operation."""

    approved: bool
    operatorid: int
    operatorname: str
    reason: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """Why an operation waits, or has waited, for a second person."""

    #: what it is over, a sentence each
    reasons: tuple[str, ...]
    #: it is rejected where nobody has decided by then
    expires: datetime
    decision: Decision | None = None

    def format(self) -> dict[str, Any]:
        """Return it as JSON values; times are RFC 3339 with offset."""
        decision = self.decision
        return {
            "reasons": list(self.reasons),
            "expires": self.expires.isoformat(),
            "decision": None if decision is None else asdict(decision) | {"time": decision.time.isoformat()},
        }

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Approval:
        """Inverse of `format`. Raises KeyError, TypeError or ValueError for anything else."""
        said = fields["decision"]
        decision = Decision(**said | {"time": datetime.fromisoformat(said["time"])}) if said else None
        return cls(tuple(fields["reasons"]), datetime.fromisoformat(fields["expires"]), decision)


@dataclass(frozen=True, slots=True)
class Operation:
    """One hand-in, as the ledger and the API show it."""

    id: int
    #: of the hand-in; None for a foreign row
    uuid: str | None
    #: the wire's operation: u63, drawn at random; None for a foreign row
    number: int | None
    order: Order
    state: State
    counts: Counts
    create_time: datetime
    last_modify_time: datetime
    paused_by: PausedBy | None = None
    message: str | None = None
    parent: int | None = None
    #: how it came from its parent: a Kind; None without one, and for an undo that was undone
    kind: str | None = None
    #: the dry run whose plan it carries out
    plan: int | None = None
    #: as the operator's machine named the file
    original_name: str = ""
    sourcename: str | None = None
    resultname: str | None = None
    logname: str | None = None
    #: what reading back has come to
    verifyname: str | None = None
    #: when retention removed its files
    removed_time: datetime | None = None
    #: operations of late that changed the same, when it was handed in; newest first
    repeats: tuple[int, ...] = ()
    #: None where no second person is needed
    approval: Approval | None = None


@dataclass(frozen=True, slots=True)
class EidDefinition:
    """One row of `define_nosdata_evt`."""

    cluster: str
    eid: int
    name: str = ""
    unit: str = ""
    minimum: int | None = None
    maximum: int | None = None
    editable: bool = True


@dataclass(frozen=True, slots=True)
class ClusterTitle:
    """One row of `define_nosdata_cluster`."""

    name: str
    title: str


class Severity(StrEnum):
    """How much an incident matters."""

    #: happened, and is over: good to know
    NOTICE = "notice"
    #: something is degraded; it heals by itself, or waits
    WARNING = "warning"
    #: something stands still, or a person has to act
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class RemedyRecord:
    """Something that was tried against an incident."""

    what: str
    when: datetime
    outcome: str


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that the watchdog saw, from its beginning to its end."""

    id: str
    #: a word of `eomd.watchdog.kinds`
    kind: str
    #: what it is about: `server`, `ledger`, `fish 127.0.0.1:30717`; with the kind, unique among the open ones
    subject: str
    severity: Severity
    opened: datetime
    #: one sentence for people
    summary: str
    #: None while it lasts
    closed: datetime | None = None
    #: oldest first
    remedies: tuple[RemedyRecord, ...] = ()

    def format(self) -> dict[str, Any]:
        """Return it as plain values for JSON, as the API shows it; times are RFC 3339 with offset."""
        return {
            "id": self.id,
            "kind": self.kind,
            "subject": self.subject,
            "severity": self.severity.value,
            "opened": self.opened.isoformat(),
            "closed": self.closed.isoformat() if self.closed else None,
            "summary": self.summary,
            "remedies": [
                {"what": each.what, "when": each.when.isoformat(), "outcome": each.outcome}
                for each in self.remedies
            ],
        }

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Incident:
        """Return what `format` gave. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            id=str(fields["id"]),
            kind=str(fields["kind"]),
            subject=str(fields["subject"]),
            severity=Severity(fields["severity"]),
            opened=datetime.fromisoformat(fields["opened"]),
            summary=str(fields["summary"]),
            closed=datetime.fromisoformat(fields["closed"]) if fields["closed"] else None,
            remedies=tuple(
                RemedyRecord(str(each["what"]), datetime.fromisoformat(each["when"]), str(each["outcome"]))
                for each in fields["remedies"]
            ),
        )
