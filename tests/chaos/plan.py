"""Which faults come when: drawn from a seed before the run begins. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

#: how many faults stand together, as often as they are named here
TOGETHER = (1, 1, 1, 2, 2, 3)
#: a fault comes so long after the first of its act, and stays so long at least
DELAY_S_MAX, STAY_S_MAX = 2.0, 4.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One fault of an act."""

    #: its place in the list of all faults
    fault: int
    delay_s: float
    stay_s: float
    #: of what it leaves to chance
    seed: int


def draw_acts(random: Random, faults: int) -> Iterator[list[Entry]]:
    """Yield acts for ever: every fault comes once before any comes again."""
    while True:
        deck = list(range(faults))
        random.shuffle(deck)
        while deck:
            count = random.choice(TOGETHER)
            act, deck = deck[:count], deck[count:]
            yield [_draw_entry(random, fault, place) for place, fault in enumerate(act)]


def _draw_entry(random: Random, fault: int, place: int) -> Entry:
    delay_s = random.uniform(0, DELAY_S_MAX) if place else 0.0
    return Entry(fault, delay_s, random.uniform(0, STAY_S_MAX), random.randrange(2**32))


def settle(subjects: Sequence[str]) -> list[bool]:
    """Tell of each whether it may stand together with those before it: no two on one subject."""
    return [subject not in subjects[:place] for place, subject in enumerate(subjects)]
