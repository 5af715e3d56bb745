"""How often somebody may try a password. No I/O, no clock: the time is an argument, in seconds.

A try counts as failed from its beginning, so that many at once count as many; `succeeded` takes that back.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

#: wrong passwords of a name before its tries have to wait
FREE_TRIES = 3
#: the first wait; it doubles with each try
WAIT_S = 1.0
#: wrong passwords of a name in a row, after which it is locked
TRIES_MAX = 10
LOCKED_S = 900.0
#: wrong passwords from an address, of whatever names, before it has to wait
ADDRESS_TRIES_MAX = 50
#: an address or name that has not tried for so long begins anew
FORGET_S = 900.0
#: names and addresses remembered; the ones longest silent go first
REMEMBERED_MAX = 10_000


@dataclass(slots=True)
class _Tries:
    failed: int = 0
    last_s: float = 0.0


class Throttle:
    """Counts tries by name and by address."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, _Tries] = OrderedDict()
        self._addresses: OrderedDict[str, _Tries] = OrderedDict()

    def wait_s(self, name: str, address: str, now_s: float) -> float:
        """Return how long this name, from this address, has to wait before its next try; 0: not at all."""
        of_name = _find(self._names, name, now_s)
        of_address = _find(self._addresses, address, now_s)
        pause_s = _pause_s(of_name.failed)
        address_pause_s = FORGET_S if of_address.failed >= ADDRESS_TRIES_MAX else 0.0
        return max(0.0, of_name.last_s + pause_s - now_s, of_address.last_s + address_pause_s - now_s)

    def begin(self, name: str, address: str, now_s: float) -> bool:
        """Count a try; return whether it is the last before the name is locked."""
        for book, key in ((self._addresses, address), (self._names, name)):
            tries = _find(book, key, now_s)
            tries.failed, tries.last_s = tries.failed + 1, now_s
            book[key] = tries
            book.move_to_end(key)
            if len(book) > REMEMBERED_MAX:
                book.popitem(last=False)
        return self._names[name].failed >= TRIES_MAX

    def succeeded(self, name: str, address: str) -> None:
        """Take a try back: the password was right."""
        self._names.pop(name, None)
        if address in self._addresses:
            self._addresses[address].failed -= 1

    def forget(self, name: str) -> None:
        """Let a name try anew."""
        self._names.pop(name, None)


def _find(book: OrderedDict[str, _Tries], key: str, now_s: float) -> _Tries:
    known = book.get(key)
    return known if known is not None and now_s - known.last_s < FORGET_S else _Tries()


def _pause_s(failed: int) -> float:
    if failed < FREE_TRIES:
        return 0.0
    return LOCKED_S if failed >= TRIES_MAX else WAIT_S * 2.0 ** (failed - FREE_TRIES)
