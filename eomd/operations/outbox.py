"""The outbox: answers to those who drop files: a status for each, replaced as it changes, and results.

    outbox/STEM.status.json   how the operation stands, or why the file was refused
    outbox/STEM-result.csv    the result, without byte order mark

STEM is the dropped file's name without its extension; where another file's answers have that name already,
the operation's id (of a refused file, its time) follows it. An operation whose folder holds `answer.json`
waits for its last answer: whatever dies in between, a later start finds it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from eomd.durable import sync_folder
from eomd.errors import FolderDamagedError, NewerFormatError
from eomd.inbox_layout import REFUSED, SHARED_MODE, shorten, stem_of
from eomd.model import Operation
from eomd.operations.dropped import Dropped
from eomd.operations.tools import Tools
from eomd.shared_folder import make_shared
from eomd.storage.checkpoint import load_operation

#: before a folder that takes nothing is tried again
RETRY_S = 5.0
#: bytes of a stem: what stands around it must fit
STEM_BYTES_MAX = 180
#: of the group that drops files
_MODE = 0o640

log = logging.getLogger(__name__)

T = TypeVar("T")


class Outbox:
    """Writes answers one after the other; for one loop."""

    def __init__(self, folder: Path, tools: Tools) -> None:
        self.folder, self._tools = folder, tools
        #: the latest view of operations that have changed, dropped ones or not
        self._changed: dict[int, Operation] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._failing = False

    def changed(self, operation: Operation) -> None:
        """Have it answered how this operation stands now, if somebody waits for that."""
        self._changed[operation.id] = operation
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Answer until cancelled; first what earlier lives have left."""
        await self._catch_up()
        while True:
            self._wake.clear()
            await self._answer_all()
            if not self._changed:
                self._idle.set()
            await self._wake.wait()

    async def settle(self) -> None:
        """Wait until all that has changed by now is answered."""
        if self._changed:
            await self._idle.wait()

    async def refuse(self, dropped: Dropped, problems: list[str]) -> None:
        """Answer that a file was refused; a folder that takes nothing stops nothing."""
        try:
            await self._in_thread(self._write_refusal, dropped, problems)
        except OSError as error:
            self._complain(error)

    async def _answer_all(self) -> None:
        failed: dict[int, Operation] = {}
        while self._changed:
            identity = next(iter(self._changed))
            operation = self._changed.pop(identity)
            try:
                await self._in_thread(self._answer, operation)
            except OSError as error:
                self._complain(error)
                failed[identity] = operation
            except Exception:
                # one answer that cannot be given must not keep the others back
                log.exception("not answered", extra={"operation": identity})
            else:
                self._failing = False
        # what has changed meanwhile is newer
        self._changed = failed | self._changed
        if failed:
            asyncio.get_running_loop().call_later(RETRY_S, self._wake.set)

    def _complain(self, error: OSError) -> None:
        if not self._failing:
            log.error("the outbox takes no answers: %s", error)
        self._failing = True

    async def _catch_up(self) -> None:
        try:
            unanswered = await self._in_thread(self._unanswered)
        except OSError as error:
            log.error("who waits for answers could not be read: %s", error)
            return
        for operation in unanswered:
            self._changed.setdefault(operation.id, operation)

    def _unanswered(self) -> list[Operation]:
        """Return the operations that somebody waits for, as their folders know them."""
        found = []
        for identity in self._tools.data.ids():
            folder = self._tools.data.operation(identity)
            if not folder.answer.exists():
                continue
            try:
                operation, _ = load_operation(identity, folder.manifest, folder.checkpoint)
            except (OSError, FolderDamagedError, NewerFormatError) as error:
                log.warning("its answer waits: %s", error, extra={"operation": identity})
            else:
                found.append(operation)
        return found

    def _answer(self, operation: Operation) -> None:
        note = _read_json(self._tools.data.operation(operation.id).answer)
        if not note:
            return
        stem = self._choose_stem(note["name"], note["taken"], str(operation.id))
        result, resultname = self._tools.data.result(operation.id), None
        if operation.state.ended and operation.resultname is not None and result.exists():
            resultname = f"{stem}-result.csv"
            self._put_result(result, self.folder / resultname)
        status = {**note, **_describe(operation), "resultname": resultname, "problems": []}
        self._put_status(stem, status, durable=operation.state.ended)
        if operation.state.ended:
            self._tools.data.operation(operation.id).answer.unlink()

    def _write_refusal(self, dropped: Dropped, problems: list[str]) -> None:
        moment = dropped.taken.partition("-")[0]
        status = {
            "taken": dropped.taken,
            "name": dropped.name,
            "recipe": dropped.recipe,
            "id": None,
            "state": REFUSED.removeprefix("."),
            "message": problems[0],
            "resultname": None,
            "problems": problems,
        }
        stem = self._choose_stem(dropped.name, dropped.taken, moment)
        self._put_status(stem, status, durable=True)

    def _choose_stem(self, name: str, taken: str, mark: str) -> str:
        """Return the stem of this file's answers: no other file's are overwritten."""
        make_shared(self.folder, SHARED_MODE)
        stem = shorten(stem_of(name), STEM_BYTES_MAX)
        status = _read_json(self.folder / f"{stem}.status.json")
        if status is not None and status.get("taken") == taken:
            return stem
        free = status is None and not os.path.lexists(self.folder / f"{stem}-result.csv")
        return stem if free else f"{stem}-{mark}"

    def _put_status(self, stem: str, status: Mapping[str, Any], *, durable: bool) -> None:
        path = self.folder / f"{stem}.status.json"
        beside = path.with_name(f".{path.name}.new")
        # a name that is no UTF-8 stands there as JSON's escapes
        text = json.dumps(status, ensure_ascii=False, indent=1).encode("utf-8", "backslashreplace")
        with open(beside, "wb") as file:
            os.fchmod(file.fileno(), _MODE)
            file.write(text + b"\n")
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(beside, path)
        if durable:
            sync_folder(self.folder)

    def _put_result(self, result: Path, path: Path) -> None:
        beside = path.with_name(f".{path.name}.new")
        beside.unlink(missing_ok=True)
        if not self._linked(result, beside):
            shutil.copyfile(result, beside)
            with open(beside, "rb") as copy:
                os.fsync(copy.fileno())
        beside.chmod(_MODE)
        os.replace(beside, path)

    def _linked(self, result: Path, beside: Path) -> bool:
        """Let the answer be the result itself where the outbox's group may read that; tell whether it is."""
        if result.stat().st_gid != self.folder.stat().st_gid:
            return False
        try:
            os.link(result, beside)
        except OSError:
            return False
        return True

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._tools.executors.serving, partial(work, *arguments))


def _read_json(path: Path) -> dict[str, Any] | None:
    """Return what stands there; None for nothing, {} for what is no JSON object."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _describe(operation: Operation) -> dict[str, Any]:
    order, counts = operation.order, operation.counts
    return {
        "id": operation.id,
        "state": operation.state.value,
        "paused_by": operation.paused_by,
        "message": operation.message,
        "model": order.model,
        "mode": order.mode,
        "cluster": order.cluster,
        "eids": list(order.eids),
        "dry_run": order.dry_run,
        "description": order.description,
        "operatorid": order.operatorid,
        "operatorname": order.operatorname,
        "rows": {name: getattr(counts, name) for name in counts.__slots__},
        "create_time": operation.create_time.isoformat(),
        "last_modify_time": operation.last_modify_time.isoformat(),
    }
