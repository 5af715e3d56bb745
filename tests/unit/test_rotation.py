from hypothesis import given
from hypothesis import strategies as st

from eomd.evt.rotation import Rotation


def rotation_of(*items):
    rotation = Rotation()
    for item in items:
        rotation.add(item)
    return rotation


def turns(rotation, count):
    found = []
    for _ in range(count):
        found.append(rotation.peek())
        rotation.turn()
    return found


def test_items_have_their_turns_in_order():
    assert turns(rotation_of("a", "b", "c"), 7) == ["a", "b", "c", "a", "b", "c", "a"]


def test_an_empty_rotation_is_nobodys_turn():
    rotation = Rotation()
    rotation.turn()
    assert rotation.peek() is None
    assert len(rotation) == 0


def test_a_sleeper_is_passed_over_until_woken():
    rotation = rotation_of("a", "b")
    rotation.sleep("a")
    assert turns(rotation, 2) == ["b", "b"]
    rotation.wake("a")
    assert turns(rotation, 4) == ["b", "a", "b", "a"]


def test_waking_who_is_awake_changes_nothing():
    rotation = rotation_of("a", "b")
    rotation.wake("a")
    rotation.wake("stranger")
    assert turns(rotation, 2) == ["a", "b"]


def test_a_removed_item_has_no_turn_asleep_or_awake():
    rotation = rotation_of("a", "b", "c")
    rotation.sleep("a")
    rotation.remove("a")
    rotation.remove("b")
    rotation.remove("stranger")
    rotation.wake_all()
    assert turns(rotation, 2) == ["c", "c"]


@given(st.integers(2, 20), st.integers(0, 200))
def test_nobody_gets_more_than_one_turn_more_than_another(items, count):
    taken = turns(rotation_of(*range(items)), count)
    shares = [taken.count(item) for item in range(items)]
    assert max(shares) - min(shares) <= 1
