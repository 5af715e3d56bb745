"""Run inside of the service's walls: none of these must succeed. No test by itself."""

import os
import socket
import subprocess
from pathlib import Path


def refused(act, *arguments):
    try:
        act(*arguments)
    except OSError:
        return
    raise SystemExit(f"{act.__name__}{arguments} was not refused")


assert os.getuid() != 0
refused(Path("/etc/eomd/eomd.toml").write_text, "")
refused(Path("/usr/local/bin/eomd").unlink)
refused(Path("/srv/x").write_text, "")
refused(os.listdir, "/root")
refused(os.listdir, "/etc/credstore")
refused(os.kill, 1, 0)
refused(os.chown, "/var/lib/eomd", 0, 0)
refused(os.setpriority, os.PRIO_PROCESS, 0, -1)
refused(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1))
refused(socket.socket, socket.AF_PACKET, socket.SOCK_RAW)
refused(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW)
refused(open, "/dev/kmsg")
refused(open, "/proc/sys/kernel/hostname", "w")
assert not Path("/proc/1").exists()
assert subprocess.run(["unshare", "--user", "true"], capture_output=True).returncode != 0
