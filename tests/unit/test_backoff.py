from random import Random

from eomd.evt.backoff import JITTER_SHARE, Backoff


class Middle(Random):
    """A random source that always takes the middle."""

    def uniform(self, a, b):
        return (a + b) / 2


def test_pauses_double_up_to_the_longest():
    backoff = Backoff(0.1, 5.0, Middle())
    pauses = [round(backoff.next_pause_s(), 3) for _ in range(8)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_reset_begins_with_the_first_pause():
    backoff = Backoff(0.1, 5.0, Middle())
    for _ in range(5):
        backoff.next_pause_s()
    backoff.reset()
    assert round(backoff.next_pause_s(), 3) == 0.1


def test_jitter_stays_within_its_share_and_differs():
    backoff = Backoff(1.0, 1.0, Random(1))
    pauses = [backoff.next_pause_s() for _ in range(200)]
    assert all(1 - JITTER_SHARE <= pause <= 1 + JITTER_SHARE for pause in pauses)
    assert len(set(pauses)) > 100
