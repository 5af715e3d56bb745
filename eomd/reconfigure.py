"""The configuration in force: put into the rooms at the start, and again when it was read anew.

What a reload cannot change (`config_live.TAKES`) stays in force as it was, and is named each time.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eomd.config import Settings, load_settings
from eomd.config_files import read_secrets
from eomd.config_live import TAKES, Change, Takes, find_changes, takes
from eomd.errors import ConfigurationError
from eomd.evt.cluster import ClusterSettings
from eomd.logs import set_up_logging
from eomd.rooms import Rooms, access_settings, cluster_settings, make_rules

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a configuration that was read anew. With problems nothing of it was taken."""

    #: keys that have changed and are in force now
    taken: list[str] = field(default_factory=list)
    #: keys that have changed and are not
    needs_restart: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Certificate:
    tls: ssl.SSLContext
    #: of both files
    digest: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """A configuration with everything that had to be read for it."""

    settings: Settings
    clusters: Mapping[str, ClusterSettings]
    certificate: _Certificate | None


class Reconfiguration:
    """Knows which settings are in force; made before anything has started."""

    def __init__(
        self, settings: Settings, rooms: Rooms, api_socket: Path | None, *, exposed: bool = False
    ) -> None:
        """`exposed`: others than this machine can connect, whatever `server.listen` says.

        Raises ConfigurationError for a codec, a certificate or a key that cannot be used.
        """
        self.settings = settings
        #: told of each certificate that comes into force
        self.on_certificate: Callable[[ssl.SSLContext], None] = lambda tls: None
        self._rooms, self._api_socket, self._exposed = rooms, api_socket, exposed
        self._secrets = read_secrets(settings, os.environ)
        self._reloading = asyncio.Lock()
        self._first = self.prepare(settings)
        self._digest = self._first.certificate.digest if self._first.certificate else b""

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What to serve the first connections with; None: no TLS."""
        return self._first.certificate.tls if self._first.certificate else None

    def start(self) -> None:
        """Put the first settings in force."""
        self._enforce(self._first)

    async def reload(self) -> Outcome:
        """Read the configuration and put in force what can be."""
        async with self._reloading:
            try:
                loop = asyncio.get_running_loop()
                reading = await loop.run_in_executor(self._rooms.executors.serving, self._read)
            except ConfigurationError as error:
                return Outcome(problems=list(error.problems))
            outcome = self.take(reading)
        for key in outcome.taken:
            logger.info("Configuration: %s has changed", key)
        for key in outcome.needs_restart:
            logger.warning("Configuration: %s has changed and waits for a restart", key)
        return outcome

    def _read(self) -> Reading:
        return self.prepare(load_settings(self.settings.source, os.environ))

    def prepare(self, settings: Settings) -> Reading:
        """Read what else is needed for these settings. Blocks. Raises ConfigurationError."""
        clusters = cluster_settings(settings, self._rooms.data.origin())
        # other paths wait for a restart; what stands at these may be new
        return Reading(settings, clusters, _read_certificate(self.settings))

    def take(self, reading: Reading) -> Outcome:
        """Put in force what can be; nothing is left half done."""
        changes = list(find_changes(self.settings.model_dump(), reading.settings.model_dump()))
        before, self.settings = self.settings, _keep_restarts(self.settings, reading.settings)
        self._enforce(reading)
        if self.settings.log != before.log:
            set_up_logging(self.settings.log.level, self.settings.log.format, self._secrets)
        at_once = [change for change in changes if takes(change.path) is Takes.RELOAD]
        later = [change for change in changes if change not in at_once]
        return Outcome([*_names(at_once), *self._renew(reading.certificate)], _names(later))

    def _enforce(self, reading: Reading) -> None:
        rooms, settings = self._rooms, self.settings
        rooms.desk.tools.rules.become(make_rules(settings))
        rooms.desk.clusters_.titles = {name: table.title for name, table in settings.clusters.items()}
        rooms.fleet.become(reading.clusters)
        rooms.context.upload_mb = settings.limits.upload_mb
        rooms.context.connections_max = settings.limits.connections
        rooms.context.streams_max = settings.limits.event_streams
        rooms.context.access.settings = access_settings(settings, self._api_socket, exposed=self._exposed)
        rooms.context.access.people.session_hours = settings.auth.session_hours
        if self._exposed and not settings.auth.enabled:
            logger.error(
                "auth.enabled = false is not followed: the sockets in use can be reached from elsewhere"
            )

    def _renew(self, certificate: _Certificate | None) -> list[str]:
        """Serve with a certificate from now on that is another; return its key then."""
        if certificate is None or certificate.digest == self._digest:
            return []
        self._digest = certificate.digest
        self.on_certificate(certificate.tls)
        return ["server.tls_cert (renewed)"]


def _names(changes: Iterable[Change]) -> list[str]:
    return [str(change) for change in changes]


def _keep_restarts(before: Settings, after: Settings) -> Settings:
    """Return `after` with those keys as they were that wait for a restart."""
    kept: dict[str, Any] = {}
    for name, needed in TAKES.items():
        table, _, key = name.partition(".")
        if needed is Takes.RELOAD:
            continue
        value = getattr(before, table)
        if key:
            value = kept.get(table, getattr(after, table)).model_copy(update={key: getattr(value, key)})
        kept[table] = value
    return after.model_copy(update=kept)


def _read_certificate(settings: Settings) -> _Certificate | None:
    """Raises ConfigurationError for a certificate or key that cannot be used."""
    server = settings.server
    if not server.tls_cert:
        return None
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    # with TLS 1.2: forward secrecy and authenticated encryption alone; TLS 1.3 has no others
    tls.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    tls.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        contents = Path(server.tls_cert).read_bytes(), Path(server.tls_key).read_bytes()
        tls.load_cert_chain(server.tls_cert, server.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"[server] tls_cert, tls_key: {error}") from error
    return _Certificate(tls, hashlib.sha256(b"\0".join(contents)).digest())
