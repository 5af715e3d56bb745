"""The tables of eomd.toml as frozen models: every key, its type, its default and what it may be.

What needs several tables, the environment or the disk stands in `config.py`.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from datetime import datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from eomd.listen import ListenAddress, parse_host_port, parse_listen
from eomd.model import (
    DESCRIPTION_CHARACTERS_MAX,
    EID_MAX,
    EIDS_MAX,
    USER_MAX,
    VALUE_MAX,
    VALUE_MIN,
    Duplicates,
    Mode,
    Model,
    NodeAddress,
)

CLUSTER_NAME_PATTERN = r"^[a-z][a-z0-9-]*$"
CONNECTIONS_DEFAULT = 4
CONNECTIONS_MAX = 1000
#: ten years, so that no date overflows
HOURS_MAX = 87_600
DATABASE_SCHEMES = ("sqlite", "mysql+pymysql")


class Table(BaseModel):
    """A table of the file. Strict: TOML has types of its own, so text is never taken for a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


def _check_listen(text: str) -> str:
    parse_listen(text)
    return text


def _check_network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("expected an address or a network such as 192.0.2.0/24") from None
    return text


def _check_time_zone(name: str) -> str:
    if name != "UTC":
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("expected a time zone of this machine such as Asia/Shanghai, or UTC") from None
    return name


def _check_database(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in DATABASE_SCHEMES:
        raise ValueError("expected sqlite:///file.db or mysql+pymysql://user@host:3306/database")
    if parts.scheme == "sqlite" and (parts.netloc or len(parts.path) < 2):
        raise ValueError("expected sqlite:/// and a file's name")
    if parts.scheme != "sqlite" and not (parts.hostname and parts.path.strip("/")):
        raise ValueError("expected mysql+pymysql://user@host:3306/database")
    return url


def parse_node(text: Any) -> Any:
    """Turn `host:port[:connections]`, IPv6 in brackets, into a NodeAddress. Raise ValueError otherwise."""
    if not isinstance(text, str):
        return text
    colons = text.rpartition("]")[2].count(":")
    place, _, budget = text.rpartition(":") if colons == 2 else (text, "", str(CONNECTIONS_DEFAULT))
    try:
        host, port = parse_host_port(place.strip())
    except ValueError as error:
        raise ValueError(f"expected host:port or host:port:connections ({error})") from None
    if not (budget.isascii() and budget.isdigit() and 1 <= int(budget) <= CONNECTIONS_MAX):
        raise ValueError(f"expected host:port:connections with 1 to {CONNECTIONS_MAX} connections")
    return NodeAddress(host, port, int(budget))


def _check_nodes(nodes: tuple[NodeAddress, ...]) -> tuple[NodeAddress, ...]:
    if not nodes:
        raise ValueError("expected at least one node, host:port:connections")
    doubled = [node for node, count in Counter(map(str, nodes)).items() if count > 1]
    if doubled:
        raise ValueError(f"the node {doubled[0]} is named twice")
    return nodes


def _parse_eids(value: Any) -> Any:
    """Accept `"1001,1002"` beside `[1001, 1002]`, as a hand-in does."""
    if isinstance(value, str) and all(part.strip().isdecimal() for part in value.split(",")):
        return tuple(int(part) for part in value.split(","))
    return value


def _check_eids(eids: tuple[int, ...]) -> tuple[int, ...]:
    if not 1 <= len(eids) <= EIDS_MAX or len(set(eids)) < len(eids):
        raise ValueError(f"expected 1 to {EIDS_MAX} EIDs, each once")
    return eids


def _check_mode(mode: Mode) -> Mode:
    if mode is Mode.RESTORE:
        raise ValueError("expected inc, dec or set")
    return mode


Eid = Annotated[int, Field(ge=1, le=EID_MAX)]
Listen = Annotated[str, AfterValidator(_check_listen)]
Network = Annotated[str, AfterValidator(_check_network)]
Node = Annotated[NodeAddress, BeforeValidator(parse_node)]
Share = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=0)]
Natural = Annotated[int, Field(ge=1)]
#: TOML's arrays are lists; only the container is taken leniently, its items stay strict
Lenient = Field(strict=False)


class ServerTable(Table):
    #: host:port or unix:/path; see `address`
    listen: Listen = "127.0.0.1:8600"
    tls_cert: str = ""
    tls_key: str = ""
    trusted_proxies: Annotated[tuple[Network, ...], Lenient] = ("127.0.0.1",)

    @model_validator(mode="after")
    def _check_tls(self) -> ServerTable:
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key: expected both or neither")
        return self

    @property
    def address(self) -> ListenAddress:
        return parse_listen(self.listen)


class LedgerTable(Table):
    #: as configured; `Settings.ledger_url` is the one to connect to
    url: Annotated[str, AfterValidator(_check_database)] = Field(default="sqlite:///eomd.db", repr=False)
    #: from the environment, or from a file that its owner alone can read
    password: SecretStr = Field(default=SecretStr(""), strict=False)
    password_file: str = ""
    auto_migrate: bool = True
    table: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")] = "define_optgroup"
    time_zone: Annotated[str, AfterValidator(_check_time_zone)] = "UTC"


class ClusterTable(Table):
    title: str = ""
    nodes: Annotated[tuple[Node, ...], Lenient, AfterValidator(_check_nodes)]
    codec: Annotated[str, Field(min_length=1)] = "evt1"
    #: 0: as fast as it goes
    rows_per_s: Whole = 0
    reply_timeout_s: Seconds = 10.0
    #: None: as [modify] says
    brake_failed_share: Share | None = None
    brake_latency_ms: Milliseconds | None = None


class RecipeTable(Table):
    """What a file dropped into the recipe's folder is handed in with: every field of a hand-in."""

    cluster: str
    model: Annotated[Model, Lenient]
    eids: Annotated[
        tuple[Eid, ...],
        Lenient,
        BeforeValidator(_parse_eids),
        AfterValidator(_check_eids),
    ]
    mode: Annotated[Mode, Lenient, AfterValidator(_check_mode)] | None = None
    amount: Annotated[int, Field(ge=VALUE_MIN, le=VALUE_MAX)] | None = None
    duplicates: Annotated[Duplicates, Lenient] | None = None
    dry_run: bool = False
    only_if_unchanged: bool = False
    confirm_repeat: bool = False
    canary_rows: Whole = 0
    canary_wait: bool = False
    verify: Literal["none", "sample", "all"] = "none"
    description: Annotated[str, Field(max_length=DESCRIPTION_CHARACTERS_MAX)] = ""
    operatorid: Annotated[int, Field(ge=0, le=USER_MAX)] | None = None
    operatorname: Annotated[str, Field(max_length=64)] | None = None

    @model_validator(mode="after")
    def _check_model(self) -> RecipeTable:
        if (self.model is Model.MODIFY) != (self.mode is not None):
            raise ValueError("mode: expected inc, dec or set for a modify, and none for a query")
        if self.model is Model.QUERY and (self.amount is not None or self.duplicates or self.dry_run):
            raise ValueError("amount, duplicates and dry_run belong to a modify")
        if self.only_if_unchanged and not self.dry_run:
            raise ValueError("only_if_unchanged: expected with dry_run = true")
        return self


class InboxTable(Table):
    #: relative to data_dir; see `Settings.inbox_path`
    path: Annotated[str, Field(min_length=1)] = "inbox"
    enabled: bool = True
    operatorid: Annotated[int, Field(ge=0, le=USER_MAX)] = 0
    operatorname: Annotated[str, Field(max_length=64)] = "inbox"
    quiet_s: Seconds = 5.0
    recipes: dict[Annotated[str, Field(pattern=r"^[^./\x00][^/\x00]*$")], RecipeTable] = {}


def _check_backoff(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("expected the first pause, then the longest")
    return pair


class WatchdogTable(Table):
    heartbeat_s: Seconds = 0.5
    hang_after_s: Seconds = 3.0
    probe_s: Seconds = 2.0
    #: first pause, longest pause
    restart_backoff_s: Annotated[tuple[Seconds, Seconds], Lenient, AfterValidator(_check_backoff)] = (
        0.1,
        10.0,
    )
    rss_limit_mb: Natural = 1024
    standby: bool = False

    @model_validator(mode="after")
    def _check_hang(self) -> WatchdogTable:
        if self.hang_after_s < 2 * self.heartbeat_s:
            raise ValueError("hang_after_s: expected at least twice heartbeat_s")
        return self


class ModifyTable(Table):
    refuse_repeats: bool = False
    canary_rows: Whole = 0
    brake_failed_share: Share = 0.0
    #: 0: off
    brake_latency_ms: Milliseconds = 0.0


def parse_hours(text: str) -> tuple[time, time]:
    """Return (from, to) of `20:00-08:00`. Raises ValueError."""
    begin, _, end = text.partition("-")
    hours = datetime.strptime(begin, "%H:%M").time(), datetime.strptime(end, "%H:%M").time()
    if hours[0] == hours[1]:
        raise ValueError("from and to are the same")
    return hours


def _check_hours(text: str) -> str:
    try:
        parse_hours(text)
    except ValueError:
        raise ValueError("expected hours such as 20:00-08:00") from None
    return text


class ApprovalTable(Table):
    rows: Whole = 0
    total_amount: Whole = 0
    largest_amount: Whole = 0
    clusters: Annotated[tuple[str, ...], Lenient] = ()
    eids: Annotated[tuple[Eid, ...], Lenient] = ()
    #: from-to, in `time_zone`
    hours: Annotated[tuple[Annotated[str, AfterValidator(_check_hours)], ...], Lenient] = ()
    time_zone: Annotated[str, AfterValidator(_check_time_zone)] = "UTC"
    expires_hours: Annotated[int, Field(ge=1, le=HOURS_MAX)] = 24


class LimitsTable(Table):
    upload_mb: Natural = 4096
    #: a row's number is a u32 on the wire
    rows: Annotated[int, Field(ge=1, le=2**32 - 1)] = 20_000_000
    line_bytes: Annotated[int, Field(ge=64, le=2**30)] = 1_048_576
    queued_operations: Natural = 1000
    #: to each listening address, at a time
    connections: Natural = 2000
    #: at a time
    event_streams: Natural = 200
    min_free_mb: Whole = 512
    unknown_eids: Literal["refuse", "allow"] = "refuse"


class AuthTable(Table):
    enabled: bool = True
    session_hours: Natural = 12
    mis_networks: Annotated[tuple[Network, ...], Lenient] = ()


class RetentionTable(Table):
    #: 0 keeps them for good
    files_days: Whole = 180
    log_days: Whole = 30


class LogTable(Table):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


ClusterName = Annotated[str, Field(pattern=CLUSTER_NAME_PATTERN, max_length=64)]


class Tables(Table):
    """The whole file."""

    data_dir: Annotated[Path, Lenient]
    server: ServerTable = ServerTable()
    ledger: LedgerTable = LedgerTable()
    clusters: dict[ClusterName, ClusterTable] = {}
    inbox: InboxTable = InboxTable()
    watchdog: WatchdogTable = WatchdogTable()
    modify: ModifyTable = ModifyTable()
    approval: ApprovalTable = ApprovalTable()
    limits: LimitsTable = LimitsTable()
    auth: AuthTable = AuthTable()
    retention: RetentionTable = RetentionTable()
    log: LogTable = LogTable()
