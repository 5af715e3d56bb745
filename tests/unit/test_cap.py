"""The cap on rows in flight follows the latency of the answers."""

from eomd.evt.cap import ROWS_MAX, ROWS_MIN, SLOW_S, InflightCap


def test_slow_answers_lower_it_to_the_least_and_quick_ones_raise_it_to_the_most():
    cap = InflightCap()
    for _ in range(1000):
        cap.observe(SLOW_S * 2, 4096)
    assert cap.rows == ROWS_MIN
    for _ in range(1000):
        cap.observe(SLOW_S / 2, 4096)
    assert cap.rows == ROWS_MAX


def test_one_slow_window_takes_an_eighth_of_it():
    cap = InflightCap()
    for _ in range(ROWS_MAX // 4096):
        cap.observe(SLOW_S * 2, 4096)
    assert cap.rows == ROWS_MAX - ROWS_MAX // 8


def test_a_queue_at_a_node_of_20000_rows_a_second_is_short_in_the_end():
    rate, cap = 20_000, InflightCap()
    for _ in range(200):
        cap.observe(cap.rows / rate, 4096)
    assert cap.rows / rate <= 0.5
