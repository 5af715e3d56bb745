"""How fast rows are answered of late."""

from eomd.operations.rate import RateMeter


def test_a_rate_needs_two_moments():
    now = [0.0]
    meter = RateMeter(lambda: now[0])
    assert meter.measure(100) == 0.0
    now[0] = 2.0
    assert meter.measure(300) == 100.0


def test_old_samples_are_forgotten():
    now = [0.0]
    meter = RateMeter(lambda: now[0])
    for second in range(20):
        now[0] = float(second)
        rate = meter.measure(0 if second < 10 else (second - 9) * 50)
    assert rate == 50.0
