"""Looking at a node of a cluster: one kept connection, greeted, and asked for a sign of life once a period.

The connection is made anew now and then, so that a node which takes no new ones is noticed too.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from eomd.errors import FrameError, NodeRefusedError
from eomd.evt.probe import MakeSession, ProbeSession
from eomd.model import NodeAddress
from eomd.watchdog.incidents import Kind
from eomd.watchdog.sight import DOWN, UP, Finding, Sight

LOOK_S_MAX = 3.0
#: after which a connection is closed and made anew
CONNECTION_S_MAX = 60.0


def node_subject(cluster: str, address: str) -> str:
    """Name a node in incidents."""
    return f"{cluster} {address}"


def cluster_of(subject: str) -> str:
    """Return the cluster of a node's name: cluster names have no spaces."""
    return subject.partition(" ")[0]


class NodeProbe:
    """One node."""

    deadline_s = LOOK_S_MAX
    kinds: Mapping[str, Kind] = {DOWN: Kind.NODE_DOWN, "misconfigured": Kind.NODE_MISCONFIGURED}

    def __init__(
        self,
        cluster: str,
        address: NodeAddress,
        make_session: MakeSession,
        origin: Callable[[], bytes],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cluster, self.address = cluster, str(address)
        self._host, self._port = address.host, address.port
        self._make_session, self._origin, self._clock = make_session, origin, clock
        self._session: ProbeSession | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._made_s = 0.0

    @property
    def subject(self) -> str:
        return node_subject(self.cluster, self.address)

    async def look(self) -> Finding:
        try:
            return Finding(UP, latency_ms=await self._ask())
        except NodeRefusedError as refusal:
            return Finding(refusal.state, str(refusal))
        except (OSError, EOFError, FrameError) as error:
            return Finding(DOWN, _describe(error))

    async def _ask(self) -> float:
        """Return the milliseconds to a sign of life. Raises NodeRefusedError, FrameError, OSError."""
        if self._session is not None and self._clock() - self._made_s < CONNECTION_S_MAX:
            # a node that was restarted between two looks has ended the connection: that alone is no fault
            with suppress(NodeRefusedError, FrameError, OSError, EOFError):
                return await self._ping(self._session)
        self.close()
        return await self._ping(await self._connect())

    async def _connect(self) -> ProbeSession:
        reader, self._writer = await asyncio.open_connection(self._host, self._port)
        try:
            session = self._make_session(self.cluster, self._origin(), reader, self._writer)
            await session.greet()
        except BaseException:
            self.close()
            raise
        self._session, self._made_s = session, self._clock()
        return session

    async def _ping(self, session: ProbeSession) -> float:
        started_s = self._clock()
        try:
            await session.ping()
        except BaseException:
            # also when the deadline cuts it off: the answer may come later and must not be taken for another
            self.close()
            raise
        return (self._clock() - started_s) * 1000

    def tell(self, sight: Sight) -> str:
        if sight.state == UP:
            return "the node answers"
        return f"the node is {sight.state}: {sight.reason}"

    def close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        self._session = self._writer = None


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
