"""Run inside of the service's walls: each of these is something that eomd does. No test by itself."""

import ctypes
import faulthandler
import os
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import numpy
import psutil
import pyarrow.csv
import pyinotify

state = Path("/var/lib/eomd")
dropped = state / "inbox-probe"
dropped.mkdir()
dropped.chmod(0o2770)
assert dropped.stat().st_mode & 0o7777 == 0o2770
watched = pyinotify.WatchManager().add_watch(str(dropped), pyinotify.IN_CLOSE_WRITE)
assert watched[str(dropped)] > 0
(dropped / "users.csv").write_text("userid\n1\n")
os.link(dropped / "users.csv", dropped / "again.csv")
os.rename(dropped / "again.csv", dropped / "taken.csv")
with open(dropped / "users.csv") as file:
    os.fsync(file.fileno())
assert pyarrow.csv.read_csv(dropped / "taken.csv")["userid"].to_pylist() == [1]
assert numpy.arange(3).sum() == 3

child = subprocess.Popen(["/bin/sh", "-c", "kill -STOP $$"], process_group=0)
assert psutil.Process(child.pid).ppid() == os.getpid()
assert Path(f"/proc/{child.pid}/stat").read_text()
pidfd = os.pidfd_open(child.pid)
signal.pidfd_send_signal(pidfd, signal.SIGKILL)
assert child.wait() == -signal.SIGKILL
assert "some avg10" in Path("/proc/pressure/cpu").read_text()
faulthandler.register(signal.SIGUSR1)
with tempfile.TemporaryFile() as stacks:
    faulthandler.dump_traceback(stacks)
ctypes.memmove(ctypes.create_string_buffer(4), b"abc", 4)

for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, "/run/eomd/probe.sock")):
    with socket.socket(family) as listener:
        listener.bind(address)
        listener.listen()
        socket.socket(family).connect(listener.getsockname())
