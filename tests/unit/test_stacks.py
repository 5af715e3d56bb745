"""Where a server stood, read from its stacks."""

from __future__ import annotations

from eomd.watchdog.stacks import find_place

POOL = """Thread 0x00007f870726f6c0 (most recent call first):
  File "/usr/lib/python3.11/concurrent/futures/thread.py", line 81 in _worker
  File "/usr/lib/python3.11/threading.py", line 982 in run

"""
MAIN = """Thread 0x00007f8709638b80 (most recent call first):
  File "/opt/eomd/blocking.py", line 9 in open_session
  File "/opt/eomd/cli/main.py", line 88 in main
"""


def test_the_main_thread_is_the_one_that_matters_whoever_took_the_signal() -> None:
    assert find_place(POOL + MAIN) == "blocking.py line 9 in open_session"
    taken = POOL.replace("Thread", "Current thread") + MAIN
    assert find_place(taken) == "blocking.py line 9 in open_session"


def test_of_a_crash_it_is_the_thread_that_crashed() -> None:
    crashed = "Fatal Python error: Segmentation fault\n\n" + POOL.replace("Thread", "Current thread") + MAIN
    assert find_place(crashed) == "thread.py line 81 in _worker"


def test_what_says_nothing_leads_nowhere() -> None:
    assert find_place("") == ""
    assert find_place("Fatal Python error: Aborted\n\n" + MAIN) == ""
