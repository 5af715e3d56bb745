"""Signs of life as lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.handover import LINE_BYTES_MAX, Heartbeat, Sign

SECONDS = st.floats(0, 1e9, allow_nan=False)
BEATS = st.builds(
    Heartbeat,
    st.sampled_from(list(Sign)),
    lag_s=SECONDS,
    rows_answered=st.integers(0, 2**63),
    oldest_s=st.none() | SECONDS,
    ledger_s=st.none() | SECONDS,
)


@given(BEATS)
def test_a_line_says_what_the_sign_was(beat: Heartbeat) -> None:
    line = beat.format()
    assert line.endswith(b"\n")
    read = Heartbeat.parse(line)
    assert (read.sign, read.lag_s, read.rows_answered) == (beat.sign, beat.lag_s, beat.rows_answered)
    assert (read.oldest_s or 0, read.ledger_s or 0) == (beat.oldest_s or 0, beat.ledger_s or 0)


@given(st.text())
def test_a_problem_of_any_length_fits_into_a_line(problem: str) -> None:
    line = Heartbeat(Sign.REFUSED, problem=problem).format()
    assert len(line) <= LINE_BYTES_MAX
    assert line.count(b"\n") == 1
    assert Heartbeat.parse(line).problem in " ".join(problem.split())


@pytest.mark.parametrize(
    "line", [b"", b".", b"{}", b"[]", b'{"sign": "dead"}', b'{"sign": "alive", "more": 1}', b"\xff\n"]
)
def test_what_is_no_sign_of_life_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        Heartbeat.parse(line)
