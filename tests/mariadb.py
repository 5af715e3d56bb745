"""A private MariaDB in a folder of its own, with faults to order: killed, frozen, started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pymysql

from tests.world import free_port, wait_until

START_S = 120.0
BINARIES = ("mariadbd", "mariadb-install-db")


class MariaDb:
    """One server. Its port stays the same over restarts."""

    def __init__(self, folder: Path) -> None:
        missing = [name for name in BINARIES if _find(name) is None]
        if missing:
            raise RuntimeError(f"no {' and '.join(missing)} here: run `apt-get install mariadb-server`")
        self.folder = folder
        self.port = free_port()
        # of its own: a server that starts removes the temporary tables that it finds, other servers' too
        self._scratch = folder / "tmp"
        self._scratch.mkdir(parents=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._install()

    def start(self) -> None:
        """Start, or start again, and wait until it answers."""
        command = [
            str(_find("mariadbd")),
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self._scratch}",
            f"--socket={self.folder / 's.sock'}",
            f"--pid-file={self.folder / 'pid'}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
            f"--log-error={self.folder / 'err.log'}",
            *_as_root(),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait_until_ready()

    def stop(self) -> None:
        """End it in good order."""
        if self._process is not None:
            self._signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(START_S)
            self._process = None

    def kill(self) -> None:
        """End it as a power cut would: kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_S)
            self._process = None

    def freeze(self) -> None:
        """Let it stand still: its sockets take connections, and nobody answers."""
        self._signal(signal.SIGSTOP)
        # on a busy machine its threads go on until the first of them has had its turn
        wait_until(self._stands_still, "the database stands still")

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def execute(
        self, statement: str, parameters: tuple[object, ...] = (), database: str | None = None
    ) -> Any:
        """Run one statement as root and return its rows."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            return cursor.fetchall()

    def connect(self, database: str | None = None) -> pymysql.Connection[Any]:
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user="root",
            database=database,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=5,
            read_timeout=10,
        )

    def create_database(self, charset: str = "utf8mb4") -> str:
        """Make an empty database and return its name."""
        name = f"eomd_{uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET {charset}")
        return name

    def url(self, database: str, user: str = "root", port: int | None = None) -> str:
        return f"mysql+pymysql://{user}@127.0.0.1:{port or self.port}/{database}"

    def _install(self) -> None:
        command = [
            str(_find("mariadb-install-db")),
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self._scratch}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--innodb-log-file-size=16M",
            *_as_root(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"mariadb-install-db failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mariadbd did not start:\n{self._log()}")
            # not a guess at how long it takes: the pause between two looks
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except pymysql.err.OperationalError:
            return False
        return True

    def _log(self) -> str:
        path = self.folder / "err.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else "(no log)"

    def _stands_still(self) -> bool:
        if self._process is None:
            return True
        tasks = Path(f"/proc/{self._process.pid}/task").glob("*/stat")
        try:
            return all(task.read_text().rpartition(") ")[2].startswith("T") for task in tasks)
        except OSError:
            # one of them has just ended
            return False

    def _signal(self, number: int) -> None:
        if self._process is not None:
            os.kill(self._process.pid, number)


def _find(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _as_root() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []
