"""How the system looks from outside: over HTTP, and where the watchdog writes down what it saw."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from eomd.incident_spool import decode_incidents
from eomd.model import Incident, Severity
from eomd.runtime import SERVER_PID, running_pid
from tests.world import Client


class Eyes:
    """Sees what there is to be seen, whatever is dead: None or nothing where it cannot be seen."""

    def __init__(self, data: Path, runtime: Path, client: Client) -> None:
        self._incidents, self._runtime, self._client = data / "watchdog" / "incidents.json", runtime, client

    def ask(self, path: str) -> Any:
        """Return an answer's data; None where there is none, or a refusal."""
        with suppress(OSError, http.client.HTTPException, ValueError):
            answer = self._client.request("GET", path)
            return answer.data if answer.status == 200 else None
        return None

    def server_pid(self) -> int | None:
        """Return the pid of the server that holds the data folder."""
        return running_pid(self._runtime / SERVER_PID)

    def serves(self) -> bool:
        return self.ask("/health") is not None

    def node(self, cluster: str, address: str) -> Mapping[str, Any] | None:
        """Return one node as GET /clusters shows it."""
        for one in self.ask("/clusters") or []:
            for node in one["nodes"] if one["name"] == cluster else []:
                if node["address"] == address:
                    return dict(node)
        return None

    def incidents(self) -> list[Incident]:
        """Return what the watchdog remembers, whether or not a server runs."""
        with suppress(OSError, ValueError):
            return decode_incidents(self._incidents.read_bytes())
        return []

    def open_incidents(self) -> list[Incident]:
        """Return those that need somebody or something."""
        return [i for i in self.incidents() if i.closed is None and i.severity is not Severity.NOTICE]

    def troubles(self) -> list[str]:
        """Return what is not well, in words; [] when everything is."""
        health = self.ask("/health")
        if health is None:
            return ["the server does not answer"]
        found = [] if health["status"] == "ok" else [f"/health says {health}"]
        for cluster in self.ask("/clusters") or []:
            for node in cluster["nodes"]:
                seen = {node["state"], (node["probe"] or {"state": "up"})["state"]}
                if seen != {"up"}:
                    found.append(f"{cluster['name']} {node['address']} is {' and '.join(sorted(seen))}")
        found += [f"incident {i.kind}, {i.subject}: {i.summary}" for i in self.open_incidents()]
        return found
