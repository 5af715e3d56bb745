"""Who asks, for whom, and what they may: the one place where roles and grants are held against a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from eomd.errors import ForbiddenError
from eomd.model import UNLIMITED, Grants, Order, Role


class Operator(NamedTuple):
    """A person, as operations name them. Who has the same id is the same person."""

    id: int
    name: str

    def format(self) -> str:
        """`operator 7 (Li)`, as the audit writes a person."""
        return f"operator {self.id}" + (f" ({self.name})" if self.name else "")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    #: `user li`, `token mis`, `token li of operator 7 (Li)`, `uid 0`, `mis network`
    name: str
    role: Role
    #: where the request came from
    address: str
    grants: Grants = UNLIMITED
    #: the person behind the request; None: a service or this machine, which has named nobody
    operator: Operator | None = None
    #: the operator was named by the caller, and is not who the caller was identified as
    acting: bool = False
    #: whom it names is believed where a known person is asked for: this machine's owner; anybody without auth
    vouches: bool = False

    @property
    def who(self) -> str:
        """Both of them, for the audit: `token mis for operator 7 (Li)`."""
        if not self.acting or self.operator is None:
            return self.name
        return f"{self.name} for {self.operator.format()}"

    @property
    def operatorid(self) -> int | None:
        """Of the person behind the request, where that is known."""
        return None if self.operator is None else self.operator.id

    def sign(self, fields: Any) -> Any:
        """Return a request's fields with the operator filled in, where that is known.

        A person's name is what eomd knows it as, whatever the request says; a person without one is called by
        number where the request has none either.
        """
        if self.operator is None or not isinstance(fields, dict):
            return fields
        named = {"operatorname": self.operator.name} if self.operator.name else {}
        first, last = (named, {}) if self.acting else ({"operatorname": str(self.operator.id)}, named)
        return {"operatorid": self.operator.id, **first, **fields, **last}

    def acting_for(self, operator: Operator) -> Caller:
        """Return the caller as one who acts for this person. Raises ForbiddenError for somebody else's."""
        if self.operator is None or (self.acting and self.operator.id == operator.id):
            return replace(self, operator=operator, acting=True)
        if self.operator.id != operator.id:
            raise ForbiddenError(f"you are operator {self.operator.id} and cannot act for {operator.id}")
        return self

    def demand_known(self) -> None:
        """Raises ForbiddenError where nothing but the caller's own word says which person this is."""
        if not self.vouches and (self.acting or self.operator is None):
            raise ForbiddenError(
                "a person decides, known to eomd: log in, or use a token with an operatorid of its own"
            )

    def demand_role(self, role: Role) -> None:
        """Raises ForbiddenError where the role is too low."""
        if self.role < role:
            raise ForbiddenError(f"this needs the role {role.format()}; yours is {self.role.format()}")

    def demand_whole(self) -> None:
        """Raises ForbiddenError to whom only some counters are granted."""
        if not self.grants.whole:
            raise ForbiddenError("this concerns all clusters and EIDs; yours are limited")

    def demand_cluster(self, cluster: str) -> None:
        """Raises ForbiddenError where the cluster is not granted."""
        if not self.grants.has_cluster(cluster):
            granted = ", ".join(sorted(self.grants.clusters or ())) or "none"
            raise ForbiddenError(f"the cluster {cluster!r} is not granted to you (granted: {granted})")

    def demand_order(self, order: Order) -> None:
        """Raises ForbiddenError where the order's cluster or one of its EIDs is not granted."""
        self.demand_cluster(order.cluster)
        self._demand_eids(order.eids)

    def may_see(self, order: Order) -> bool:
        return self.grants.has_cluster(order.cluster) and not self.grants.missing_eids(order.eids)

    def _demand_eids(self, eids: Sequence[int]) -> None:
        if missing := self.grants.missing_eids(eids):
            raise ForbiddenError(f"not granted to you: EID {', '.join(map(str, missing))}")
