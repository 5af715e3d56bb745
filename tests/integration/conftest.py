"""Fixtures of the integration tests."""

import gc
import os

import psutil
import pytest

from eomd.evt.simulator import Counter, SimulatedCluster, SimulatorSettings, UserRange

SETTINGS = {
    "users": (UserRange(1, 999),),
    "locked": (UserRange(900, 999),),
    "counters": (Counter(1001), Counter(1002, -10, 10), Counter(1003, read_only=True)),
    "max_rows": 10,
    "max_inflight": 4,
}

GARBAGE_BYTES_MAX = 256 * 2**20


@pytest.fixture(scope="session")
def memory():
    """What the process held when garbage was last collected, in bytes."""
    return {"after": psutil.Process().memory_info().rss}


@pytest.fixture(autouse=True)
def _collect_garbage(memory):
    """Whole servers and clusters hang on few objects: the collector alone would come to them too late."""
    yield
    if psutil.Process().memory_info().rss > memory["after"] + GARBAGE_BYTES_MAX:
        gc.collect()
        memory["after"] = psutil.Process().memory_info().rss


@pytest.fixture
def simulate(caplog):
    """Start small simulated clusters; afterwards they end, and have left nothing open and logged no error."""
    # what earlier tests have left to the collector must not go while this one's descriptors are counted
    gc.collect()
    clusters, opened = [], len(os.listdir("/proc/self/fd"))

    def start(**changes):
        clusters.append(SimulatedCluster(SimulatorSettings(**(SETTINGS | changes))))
        return clusters[-1].start()

    yield start
    for cluster in clusters:
        cluster.stop()
    assert len(os.listdir("/proc/self/fd")) == opened
    assert not [record for record in caplog.get_records("call") if record.name == "asyncio"]
