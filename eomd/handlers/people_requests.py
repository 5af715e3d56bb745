"""What may be asked about people: log-in, users, tokens. No I/O."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from eomd.handlers.requests import (
    ClusterName,
    Eid,
    Flag,
    OperatorId,
    OperatorName,
    Request,
    StrictFlag,
    Text,
    Whole,
)
from eomd.model import Grants, Role
from eomd.operations.links import CODE_CHARACTERS_MAX
from eomd.operations.passwords import PASSWORD_CHARACTERS_MAX

TOKEN_DAYS_MAX = 3650
CLUSTERS_MAX = 256
EIDS_MAX = 4096
#: lower-case, so that no two people differ by a capital alone
USER_NAME = r"^[a-z0-9][a-z0-9._@-]{0,63}$"


def _each_once(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("doubled", "something stands there twice")
    return values


RoleName = Literal["viewer", "operator", "approver", "admin"]
#: not what is asked of a new one: one chosen under other rules must still be taken
Password = Annotated[str, Field(min_length=1, max_length=PASSWORD_CHARACTERS_MAX)]
Clusters = Annotated[list[ClusterName], Field(max_length=CLUSTERS_MAX), AfterValidator(_each_once)]
GrantedEids = Annotated[list[Eid], Field(max_length=EIDS_MAX), AfterValidator(_each_once)]


class LogInRequest(Request):
    """A name and its password, or the code of a one-time link."""

    link: Annotated[str, Field(min_length=1, max_length=CODE_CHARACTERS_MAX)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=64), Text] | None = Field(None, validate_default=True)
    password: Password | None = Field(None, validate_default=True)

    @field_validator("name", "password")
    @classmethod
    def _check_way(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "link" in info.data and (info.data["link"] is None) is (value is None):
            if value is None:
                raise PydanticCustomError("missing", "is missing")
            raise PydanticCustomError("linked", "not beside link")
        return value


class LogOutRequest(Request):
    """Which sessions of one's own are to end."""

    #: all of them, not this one alone; in a query string
    everywhere: Flag = False


class PasswordRequest(Request):
    """A password for another one."""

    old: Password
    new: Password


class GrantsRequest(Request):
    """What somebody may reach: an operation needs its cluster and all of its EIDs."""

    #: null or absent: whichever there are
    clusters: Clusters | None = None
    eids: GrantedEids | None = None

    def grants(self) -> Grants:
        return Grants(
            None if self.clusters is None else frozenset(self.clusters),
            None if self.eids is None else frozenset(self.eids),
        )


class TokenRequest(GrantsRequest):
    """A token to be made."""

    signed = False
    name: Annotated[str, Field(min_length=1, max_length=64), Text]
    role: RoleName
    #: absent: it does not expire
    expires_days: Annotated[int, Whole, Field(ge=1, le=TOKEN_DAYS_MAX)] | None = None
    #: the person whose token it is; absent: a service's, which names the person it acts for
    operatorid: OperatorId | None = None
    operatorname: Annotated[str, Field(max_length=64), Text] = ""

    @field_validator("operatorname")
    @classmethod
    def _check_operatorname(cls, name: str, info: ValidationInfo) -> str:
        if name and info.data.get("operatorid") is None:
            raise PydanticCustomError("operatorname", "needs operatorid")
        return name


class UserRequest(GrantsRequest):
    """A user to be added."""

    signed = False
    name: Annotated[str, Field(pattern=USER_NAME)]
    #: who they are in operations; nobody else's, and never another one
    operatorid: OperatorId
    operatorname: OperatorName
    role: RoleName
    password: Password


class UserChange(GrantsRequest):
    """What may be changed of a user; what is absent stays."""

    signed = False
    operatorname: OperatorName | None = None
    role: RoleName | None = None
    password: Password | None = None
    #: true: they may not log in, and are logged out
    disabled: StrictFlag | None = None
    #: false: they may try their password again at once
    locked: Literal[False] | None = None

    def changes(self, user_grants: Grants) -> dict[str, Any]:
        """Return what changes of the record, beside `disabled` and `locked`."""
        changed: dict[str, Any] = {
            name: value for name in ("operatorname", "password") if (value := getattr(self, name)) is not None
        }
        if self.role is not None:
            changed["role"] = Role.parse(self.role)
        if {"clusters", "eids"} & self.model_fields_set:
            asked = self.grants()
            changed["grants"] = Grants(
                asked.clusters if "clusters" in self.model_fields_set else user_grants.clusters,
                asked.eids if "eids" in self.model_fields_set else user_grants.eids,
            )
        return changed
