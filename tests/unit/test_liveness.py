"""Whether a server lives: every edge between its states, and every edge that there must not be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.handover import Heartbeat, Sign
from eomd.watchdog.liveness import (
    SIGNS_IN_TIME,
    SLOW_S,
    START_S_MAX,
    STARVED_S_MIN,
    STARVED_START_S_MAX,
    Liveness,
    Look,
    Patience,
    ServerState,
    hear,
    look,
)

S = ServerState
PATIENCE = Patience(heartbeat_s=0.5, hang_after_s=3.0)
LOOK_S = 0.25
ALIVE = Heartbeat(Sign.ALIVE)
LATE = Heartbeat(Sign.ALIVE, lag_s=SLOW_S)


def ready() -> Liveness:
    return hear(hear(Liveness(), Heartbeat(Sign.STARTING)), Heartbeat(Sign.READY))


def silence(before: Liveness, seconds: float, kept: float = 0.0, *, stopped: bool = False) -> Liveness:
    """Let so much time pass without a sign."""
    for _ in range(round(seconds / LOOK_S)):
        before = look(before, Look(LOOK_S, kept, stopped), PATIENCE)
    return before


def slow() -> Liveness:
    return hear(ready(), LATE)


def starved() -> Liveness:
    return silence(ready(), 3.5, kept=0.9)


def stuck() -> Liveness:
    return silence(ready(), 3.0)


def draining() -> Liveness:
    return hear(ready(), Heartbeat(Sign.DRAINING))


def test_each_of_these_states_is_what_it_is_called() -> None:
    states = [make().state for make in (Liveness, ready, slow, starved, stuck, draining)]
    assert states == [S.STARTING, S.READY, S.SLOW, S.STARVED, S.STUCK, S.DRAINING]


# --- starting


@pytest.mark.parametrize("sign", [Sign.STARTING, Sign.WAITING, Sign.REFUSED])
def test_a_sign_from_before_it_serves_leaves_it_starting(sign: Sign) -> None:
    assert hear(Liveness(), Heartbeat(sign)).state is S.STARTING


@pytest.mark.parametrize("sign", [Sign.READY, Sign.ALIVE])
def test_a_starting_server_becomes_ready_also_where_the_first_sign_was_lost(sign: Sign) -> None:
    assert hear(Liveness(), Heartbeat(sign)).state is S.READY


def test_imports_may_take_long() -> None:
    assert silence(Liveness(), START_S_MAX - 1).state is S.STARTING
    assert silence(Liveness(), START_S_MAX).state is S.STUCK


def test_once_its_loop_runs_a_starting_server_may_not_be_silent() -> None:
    heard = hear(Liveness(), Heartbeat(Sign.STARTING))
    assert silence(heard, 2.75).state is S.STARTING
    assert silence(heard, 3.0).state is S.STUCK


def test_a_starting_server_on_a_busy_machine_is_given_more_time() -> None:
    assert silence(Liveness(), STARVED_START_S_MAX - 1, kept=1.0).state is S.STARTING
    assert silence(Liveness(), STARVED_START_S_MAX, kept=1.0).state is S.STUCK


# --- ready, slow


def test_a_sign_in_time_keeps_it_ready() -> None:
    assert hear(silence(ready(), 0.5), ALIVE).state is S.READY


def test_a_late_loop_or_a_late_sign_is_slow() -> None:
    assert hear(ready(), LATE).state is S.SLOW
    assert silence(ready(), 0.75).state is S.READY
    assert silence(ready(), 1.0).state is S.SLOW


def test_a_slow_server_is_ready_after_some_signs_in_time() -> None:
    now = slow()
    for _ in range(SIGNS_IN_TIME - 1):
        now = hear(now, ALIVE)
        assert now.state is S.SLOW
    assert hear(now, ALIVE).state is S.READY


def test_looks_between_signs_in_time_do_not_keep_it_slow() -> None:
    now = slow()
    for _ in range(SIGNS_IN_TIME):
        now = hear(silence(now, 0.5), ALIVE)
    assert now.state is S.READY


def test_a_sign_that_came_late_is_not_one_in_time() -> None:
    now = hear(silence(ready(), 1.0), ALIVE)
    assert now.state is S.SLOW
    assert hear(hear(now, ALIVE), ALIVE).state is S.READY


def test_a_late_sign_among_them_counts_from_the_beginning() -> None:
    now = hear(hear(hear(slow(), ALIVE), ALIVE), LATE)
    assert hear(hear(now, ALIVE), ALIVE).state is S.SLOW


# --- stuck, starved


@pytest.mark.parametrize("make", [ready, slow], ids=lambda make: make.__name__)
def test_silence_of_a_server_that_could_run_is_stuck(make: object) -> None:
    before: Liveness = make()  # type: ignore[operator]
    assert silence(before, 2.75).state is S.SLOW
    assert silence(before, 3.0).state is S.STUCK


def test_only_the_time_that_it_could_run_counts() -> None:
    assert silence(ready(), 5.75, kept=0.5).state is S.STARVED
    assert silence(ready(), 6.0, kept=0.5).state is S.STUCK


def test_patience_with_a_starved_server_has_an_end() -> None:
    assert silence(ready(), STARVED_S_MIN - 1, kept=1.0).state is S.STARVED
    assert silence(ready(), STARVED_S_MIN, kept=1.0).state is S.STUCK
    assert replace(PATIENCE, hang_after_s=10.0).starved_s(heard=True) == 100.0


def test_what_somebody_stopped_is_stuck_however_busy_the_machine_is() -> None:
    assert silence(ready(), 2.75, kept=1.0, stopped=True).state is not S.STUCK
    assert silence(ready(), 3.0, kept=1.0, stopped=True).state is S.STUCK
    assert silence(Liveness(), 3.0, kept=1.0, stopped=True).state is S.STUCK


def test_one_that_goes_on_in_time_is_not_stuck() -> None:
    resumed = silence(silence(ready(), 2.0, stopped=True), 0.5)
    assert resumed.state is S.SLOW
    assert resumed.stopped_s == 0.0


def test_a_starved_server_that_is_heard_is_slow_and_then_ready() -> None:
    now = hear(starved(), ALIVE)
    assert now.state is S.SLOW
    assert hear(hear(now, ALIVE), ALIVE).state is S.READY


@pytest.mark.parametrize("sign", list(Sign))
def test_what_is_stuck_stays_so(sign: Sign) -> None:
    assert hear(stuck(), Heartbeat(sign)).state is S.STUCK
    assert silence(stuck(), 10.0, kept=1.0).state is S.STUCK


# --- draining


@pytest.mark.parametrize("make", [Liveness, ready, slow, starved], ids=lambda make: make.__name__)
@pytest.mark.parametrize("sign", [Sign.DRAINING, Sign.HANDED_OVER])
def test_every_living_server_can_drain(make: object, sign: Sign) -> None:
    assert hear(make(), Heartbeat(sign)).state is S.DRAINING  # type: ignore[operator]


@pytest.mark.parametrize("beat", [ALIVE, LATE, Heartbeat(Sign.READY), Heartbeat(Sign.STARTING)])
def test_a_draining_server_never_serves_again(beat: Heartbeat) -> None:
    assert hear(draining(), beat).state is S.DRAINING


def test_a_draining_server_can_be_stuck_but_neither_slow_nor_starved() -> None:
    assert silence(draining(), 2.75).state is S.DRAINING
    assert silence(draining(), 10.0, kept=1.0).state is S.DRAINING
    assert silence(draining(), 3.0).state is S.STUCK


# --- properties

BEATS = st.builds(Heartbeat, st.sampled_from(list(Sign)), lag_s=st.floats(0, 2))
LOOKS = st.builds(Look, st.floats(0, 1), st.floats(0, 1), st.booleans())


@given(st.lists(st.one_of(BEATS, LOOKS), max_size=60))
def test_nothing_is_stuck_that_was_not_silent_for_long_enough(history: list[Heartbeat | Look]) -> None:
    now, silent_s = Liveness(), 0.0
    for event in history:
        if isinstance(event, Heartbeat):
            now = hear(now, event)
            silent_s = silent_s if event.sign is Sign.WAITING else 0.0
        else:
            now = look(now, event, PATIENCE)
            silent_s += event.elapsed_s
        if now.state is S.STUCK:
            assert silent_s >= PATIENCE.hang_after_s - 1e-9
            return
        assert now.state is not S.STOPPED
