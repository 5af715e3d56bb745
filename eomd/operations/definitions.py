"""The counters' definitions (`define_nosdata_*`) as the server knows them, read from the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eomd.errors import FieldProblem, InvalidConfigError
from eomd.model import ClusterTitle, EidDefinition
from eomd.operations.rules import Rules
from eomd.storage.ledger import Ledger


class Definitions:
    """EIDs and titles by cluster."""

    def __init__(self, ledger: Ledger, rules: Rules) -> None:
        self._ledger, self._rules = ledger, rules
        self._titles: dict[str, str] = {}
        self._eids: dict[str, dict[int, EidDefinition]] = {}

    async def refresh(self) -> tuple[list[ClusterTitle], list[EidDefinition]]:
        """Read them anew. Raises LedgerUnavailableError; what was known stays then."""
        titles, eids = await self._ledger.definitions()
        self._titles = {title.name: title.title for title in titles}
        self._eids = {}
        for definition in eids:
            self._eids.setdefault(definition.cluster, {})[definition.eid] = definition
        return titles, eids

    async def replace(self, titles: Sequence[ClusterTitle], eids: Sequence[EidDefinition]) -> None:
        """Put these in the place of all. Raises LedgerUnavailableError."""
        await self._ledger.put_definitions(titles, eids)
        await self.refresh()

    def title(self, cluster: str) -> str | None:
        return self._titles.get(cluster)

    def of(self, cluster: str) -> Mapping[int, EidDefinition]:
        return self._eids.get(cluster, {})

    def check(self, cluster: str, eids: Sequence[int]) -> None:
        """Raises InvalidConfigError for EIDs that are not listed, where the cluster has any listed."""
        listed = self.of(cluster)
        strict = listed and self._rules.refuse_unknown_eids
        unknown = [eid for eid in eids if eid not in listed] if strict else []
        if unknown:
            names = ", ".join(map(str, unknown))
            reason = f"not defined for cluster {cluster}: {names} (limits.unknown_eids = refuse)"
            raise InvalidConfigError([FieldProblem("eids", reason)])
