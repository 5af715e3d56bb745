"""How a server is, judged by its signs of life and by what could have kept it from giving them. Pure.

    starting ──► ready ◄──► slow ◄──► starved          every one of them ──► stuck
        └────────────┴────────┴──────────┴──► draining

Silence counts against a server only while it could run. What it spends waiting for a processor, for the disk
or for memory, and what the watchdog itself sleeps through, is not its fault; but patience with a starved one
has an end too. A process that a person has stopped could run for all we know: it is stuck.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from eomd.handover import Heartbeat, Sign

#: how late the server's loop may be before it is called slow
SLOW_S = 0.5
#: signs in time before a slow one is ready again
SIGNS_IN_TIME = 3
#: silence of a process that has not come to its loop yet: its imports may come from a slow disk
START_S_MAX = 60.0
#: a starved server is given so many times `hang_after_s`, and this at least; a starting one so long
STARVED_TIMES, STARVED_S_MIN = 10, 30.0
STARVED_START_S_MAX = 300.0


class ServerState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    SLOW = "slow"
    STARVED = "starved"
    STUCK = "stuck"
    DRAINING = "draining"
    STOPPED = "stopped"


#: it accepts connections
SERVING = frozenset({ServerState.READY, ServerState.SLOW, ServerState.STARVED})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is too long, in seconds."""

    #: between two signs of life
    heartbeat_s: float
    hang_after_s: float

    def silence_s(self, *, heard: bool) -> float:
        """Return for how long a server that could run may be silent."""
        return self.hang_after_s if heard else START_S_MAX

    def starved_s(self, *, heard: bool) -> float:
        """Return for how long a server that cannot run is waited for."""
        return max(STARVED_S_MIN, STARVED_TIMES * self.hang_after_s) if heard else STARVED_START_S_MAX


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of the process since the look before."""

    #: between the two, never more than the watchdog meant it to be
    elapsed_s: float
    #: of it, the share in which the server wanted to run and could not: 0 … 1
    kept_share: float = 0.0
    #: by SIGSTOP or a debugger
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Liveness:
    """One server's. Begins with the process."""

    state: ServerState = ServerState.STARTING
    #: whether its loop has given a sign
    heard: bool = False
    #: since the last sign: while it could run, while it could not, while it was stopped
    silent_s: float = 0.0
    kept_s: float = 0.0
    stopped_s: float = 0.0
    #: signs in a row whose loop was in time
    in_time: int = 0

    @property
    def quiet_s(self) -> float:
        """Time since the last sign."""
        return self.silent_s + self.kept_s


def hear(before: Liveness, beat: Heartbeat) -> Liveness:
    """Return how the server is after a sign of life. What is stuck stays so: its end has been decided."""
    if before.state is ServerState.STUCK or beat.sign is Sign.WAITING:
        return before
    in_time = before.in_time + 1 if beat.lag_s < SLOW_S else 0
    return Liveness(_state_after(before, beat, in_time), heard=True, in_time=in_time)


def _state_after(before: Liveness, beat: Heartbeat, in_time: int) -> ServerState:
    if before.state is ServerState.DRAINING or beat.sign in (Sign.DRAINING, Sign.HANDED_OVER):
        return ServerState.DRAINING
    if beat.sign in (Sign.STARTING, Sign.REFUSED):
        return before.state
    if in_time == 0:
        return ServerState.SLOW
    if before.state in (ServerState.SLOW, ServerState.STARVED) and in_time < SIGNS_IN_TIME:
        return ServerState.SLOW
    return ServerState.READY


def look(before: Liveness, seen: Look, patience: Patience) -> Liveness:
    """Return how the server is after another while without a sign of life."""
    kept_s = 0.0 if seen.stopped else seen.elapsed_s * seen.kept_share
    after = replace(
        before,
        silent_s=before.silent_s + seen.elapsed_s - kept_s,
        kept_s=before.kept_s + kept_s,
        stopped_s=before.stopped_s + seen.elapsed_s if seen.stopped else 0.0,
    )
    state = _state_in_silence(after, patience)
    return replace(after, state=state, in_time=0 if _is_late(after, patience) else after.in_time)


def _state_in_silence(now: Liveness, patience: Patience) -> ServerState:
    if now.state is ServerState.STUCK:
        return now.state
    if now.silent_s >= patience.silence_s(heard=now.heard) or now.stopped_s >= patience.hang_after_s:
        return ServerState.STUCK
    if now.kept_s >= patience.starved_s(heard=now.heard):
        return ServerState.STUCK
    if now.state in (ServerState.STARTING, ServerState.DRAINING):
        return now.state
    if now.quiet_s >= patience.hang_after_s:
        return ServerState.STARVED
    # a starved one that gets to run now and then is not well before it has been heard
    return ServerState.SLOW if now.state is ServerState.READY and _is_late(now, patience) else now.state


def _is_late(now: Liveness, patience: Patience) -> bool:
    """Tell whether a sign is missing."""
    return now.quiet_s >= min(patience.heartbeat_s + SLOW_S, patience.hang_after_s)
