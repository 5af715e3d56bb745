"""Ask for /health again and again, each time over a new connection; at the end of stdin tell how it went.

A program of its own, for another network: `python -m tests.boot.caller PORT`.
"""

from __future__ import annotations

import json
import select
import sys
from collections import Counter

from tests.world import Client

#: between two requests
PAUSE_S = 0.005


def main(port: int) -> None:
    client = Client(port)
    ends: Counter[str] = Counter()
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        try:
            ends[str(client.request("GET", "/health").status)] += 1
        except OSError as error:
            ends[type(error).__name__] += 1
    print(json.dumps(ends))


if __name__ == "__main__":
    main(int(sys.argv[1]))
