"""The kinds of incident: a word, how much each matters, and what a person should do about it. Data alone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from eomd.model import Severity


class Kind(StrEnum):
    """What an incident can be. New words may come; old ones stay, as the ledger keeps them."""

    SERVER_CRASHED = "server_crashed"
    SERVER_STUCK = "server_stuck"
    SERVER_STARVED = "server_starved"
    SERVER_UNREADY = "server_unready"
    SERVER_MEMORY = "server_memory"
    SERVER_DESCRIPTORS = "server_descriptors"
    PORT_TAKEN = "port_taken"
    CONFIGURATION = "configuration"
    NODE_DOWN = "node_down"
    NODE_MISCONFIGURED = "node_misconfigured"
    POOL_DISAGREES = "pool_disagrees"
    LEDGER_DOWN = "ledger_down"
    LEDGER_READ_ONLY = "ledger_read_only"
    LEDGER_DISAGREES = "ledger_disagrees"
    DISK_LOW = "disk_low"
    CLOCK_JUMPED = "clock_jumped"
    INBOX_UNREADABLE = "inbox_unreadable"
    INBOX_OVERFLOW = "inbox_overflow"
    HEALTH = "health"
    WATCHDOG_LATE = "watchdog_late"


class KindFacts(NamedTuple):
    severity: Severity
    #: what a person should do, in one sentence; "" where nothing is to be done
    advice: str


NOTICE, WARNING, CRITICAL = Severity

KINDS: Mapping[Kind, KindFacts] = {
    Kind.SERVER_CRASHED: KindFacts(
        CRITICAL, "It is started again by itself; if that goes on, look into the log for the reason."
    ),
    Kind.SERVER_STUCK: KindFacts(
        CRITICAL, "It is killed and started again by itself; the stacks in the watchdog's folder say where."
    ),
    Kind.SERVER_STARVED: KindFacts(
        WARNING, "The machine is short of CPU, memory or disk time: find out what else runs on it."
    ),
    Kind.SERVER_UNREADY: KindFacts(
        CRITICAL, "It starts and does not become ready; look into the log for what it waits for."
    ),
    Kind.SERVER_MEMORY: KindFacts(
        WARNING, "It is restarted between requests; if that comes back, raise watchdog.rss_limit_mb."
    ),
    Kind.SERVER_DESCRIPTORS: KindFacts(
        WARNING, "It is restarted between requests; if that comes back, raise the limit of open files."
    ),
    Kind.PORT_TAKEN: KindFacts(
        CRITICAL, "End the other process that listens there, or change server.listen."
    ),
    Kind.CONFIGURATION: KindFacts(
        CRITICAL, "Correct the file at the line named; until then the last good configuration is in use."
    ),
    Kind.NODE_DOWN: KindFacts(
        WARNING, "Start the node again; operations go on with the others, and with this one once it is back."
    ),
    Kind.NODE_MISCONFIGURED: KindFacts(
        CRITICAL, "The node belongs to another cluster: correct its address in the configuration."
    ),
    Kind.POOL_DISAGREES: KindFacts(
        WARNING, "If it stays, look for a firewall or a limit of connections between eomd and the node."
    ),
    Kind.LEDGER_DOWN: KindFacts(
        CRITICAL, "Start the database again; what runs goes on, new hand-ins are refused until then."
    ),
    Kind.LEDGER_READ_ONLY: KindFacts(
        CRITICAL, "Let the database take writes again; what runs goes on, hand-ins are refused until then."
    ),
    Kind.LEDGER_DISAGREES: KindFacts(
        CRITICAL, "If a restart does not help, look for a lock, or a limit of connections, held against it."
    ),
    Kind.DISK_LOW: KindFacts(
        CRITICAL, "Free space under the data folder; hand-ins are refused first, then operations pause."
    ),
    Kind.CLOCK_JUMPED: KindFacts(
        NOTICE, "Nothing, if somebody set the clock; otherwise look after the machine's time service."
    ),
    Kind.INBOX_UNREADABLE: KindFacts(
        CRITICAL, "Give the inbox back to eomd's user (mode 2770), or mount it again."
    ),
    Kind.INBOX_OVERFLOW: KindFacts(NOTICE, ""),
    Kind.HEALTH: KindFacts(
        CRITICAL, "The server lives and does not answer; it is restarted if that stays. The log may say why."
    ),
    Kind.WATCHDOG_LATE: KindFacts(
        WARNING, "The machine is short of CPU, memory or disk time: find out what else runs on it."
    ),
}  # fmt: skip
