"""What may be asked: the models that validate requests and from which OpenAPI is generated. No I/O.

Every model refuses unknown fields by name, and all problems of a request are reported at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from eomd.errors import FieldProblem, InvalidConfigError, TooLargeError
from eomd.model import (
    DESCRIPTION_CHARACTERS_MAX,
    EID_MAX,
    EIDS_MAX,
    USER_MAX,
    VALUE_MAX,
    VALUE_MIN,
    Duplicates,
    Mode,
    Model,
    Order,
    RowStatus,
    State,
    Verify,
)

OPERATORNAME_CHARACTERS_MAX = 64
WAIT_S_MAX = 60
PAGE_SIZE_MAX = 200
PAGE_MAX = 1_000_000
ROWS_LIMIT_MAX = 1000
#: a row's number is a u32 on the wire
OFFSET_MAX = 2**32 - 1
OPERATION_ID_MAX = 2**31 - 1
PROBLEMS_MAX = 100
#: what may stand in a result's column `status`
ROW_STATUS_NAMES = tuple(
    sorted({status.result_name for status in RowStatus if status is not RowStatus.PENDING})
)

RequestModel = TypeVar("RequestModel", bound="Request")


def whole_number(value: Any) -> int:
    """Accept an integer or its digits; not true, not 1.0."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value):
        return int(value)
    raise PydanticCustomError("whole_number", "expected a whole number")


def _flag(value: Any) -> bool:
    if value in ("1", "true", "0", "false"):
        return value in ("1", "true")
    raise PydanticCustomError("flag", "expected 1 or 0")


def _split_eids(value: Any) -> Any:
    """Turn "1001,1002" into a list. More than EIDS_MAX of them are TOO_LARGE, not a wrong value."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")] if value.strip() else []
    if not isinstance(value, list):
        raise PydanticCustomError("eids", 'expected a list such as [1001, 1002], or "1001,1002"')
    if len(value) > EIDS_MAX:
        raise TooLargeError("eids", EIDS_MAX, "EIDs")
    return value


def _refuse_doubled(eids: tuple[int, ...]) -> tuple[int, ...]:
    doubled = sorted({eid for eid in eids if eids.count(eid) > 1})
    if doubled:
        raise PydanticCustomError("doubled", f"stands there twice: {doubled[0]}")
    return eids


def _parse_time(value: Any) -> datetime:
    """Accept RFC 3339 with offset. A plus sign that a query string turned into a space is put back."""
    if isinstance(value, str):
        text = re.sub(r" (\d\d:\d\d)$", r"+\1", value.strip())
        if re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", text):
            try:
                return datetime.fromisoformat(text.upper())
            except ValueError:
                pass
    raise PydanticCustomError("time", "expected a time with offset such as 2026-01-31T08:00:00+08:00")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise PydanticCustomError("finite", "expected a finite number")
    return value


def _check_row_status(name: str) -> str:
    if name not in ROW_STATUS_NAMES:
        raise PydanticCustomError(
            "row_status", "expected one of {names}", {"names": ", ".join(ROW_STATUS_NAMES)}
        )
    return name


def _printable(value: str) -> str:
    if "\0" in value:
        raise PydanticCustomError("nul", "must not hold a NUL character")
    return value


Whole = BeforeValidator(whole_number)
#: in a query string
Flag = Annotated[bool, BeforeValidator(_flag)]
#: in JSON
StrictFlag = Annotated[bool, Field(strict=True)]
Text = AfterValidator(_printable)
Eid = Annotated[int, Whole, Field(ge=1, le=EID_MAX)]
Amount = Annotated[int, Whole, Field(ge=VALUE_MIN, le=VALUE_MAX)]
OperatorId = Annotated[int, Whole, Field(ge=0, le=USER_MAX)]
OperatorName = Annotated[str, Field(min_length=1, max_length=OPERATORNAME_CHARACTERS_MAX), Text]
ClusterName = Annotated[str, Field(min_length=1, max_length=64), Text]
Description = Annotated[str, Field(min_length=1, max_length=DESCRIPTION_CHARACTERS_MAX), Text]
Time = Annotated[
    datetime, BeforeValidator(_parse_time), WithJsonSchema({"type": "string", "format": "date-time"})
]
Eids = Annotated[
    tuple[Eid, ...],
    BeforeValidator(_split_eids),
    Field(min_length=1),
    AfterValidator(_refuse_doubled),
    WithJsonSchema(
        {
            "oneOf": [
                {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 1, "maximum": EID_MAX},
                    "minItems": 1,
                    "maxItems": EIDS_MAX,
                    "uniqueItems": True,
                },
                {"type": "string", "pattern": r"^[0-9]+(,[0-9]+)*$"},
            ]
        }
    ),
]


class Request(BaseModel):
    """What all requests have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    #: whether its `operatorid` and `operatorname`, where it has them, are of the person who asks
    signed: ClassVar[bool] = True


class Nothing(Request):
    """A body or query string without fields."""


class QueryConfig(Request):
    """The `config` of POST /query."""

    cluster: ClusterName
    #: in the order in which the result shows them
    eids: Eids
    description: Description | None = None
    operatorid: OperatorId
    operatorname: OperatorName
    wait_s: Annotated[float, Field(ge=0, le=WAIT_S_MAX, strict=True)] | None = None

    def order(self) -> Order:
        return Order(
            Model.QUERY,
            self.cluster,
            self.eids,
            description=self.description or "",
            operatorid=self.operatorid,
            operatorname=self.operatorname,
        )


class ModifyConfig(QueryConfig):
    """The `config` of POST /modify."""

    mode: Literal["inc", "dec", "set"]
    #: one amount for every row and EID; then the file holds users alone
    amount: Amount | None = None
    #: `refuse` for set and `allow` for inc and dec unless given; `last` is for set alone
    duplicates: Literal["refuse", "allow", "last"] | None = None
    dry_run: StrictFlag = False
    #: of the plan that the dry run makes: its commit leaves alone what has moved since
    only_if_unchanged: StrictFlag = False
    #: it is meant although another one of late changed the same
    confirm_repeat: StrictFlag = False
    #: send so many rows first and read them back; 0: as configured
    canary_rows: Annotated[int, Whole, Field(ge=0, le=OFFSET_MAX)] = 0
    #: then wait for a person
    canary_wait: StrictFlag = False
    #: read back once it is through
    verify: Literal["none", "sample", "all"] = "none"

    @field_validator("amount")
    @classmethod
    def _check_amount(cls, amount: int | None, info: ValidationInfo) -> int | None:
        if amount is not None and amount < 0 and info.data.get("mode") in ("inc", "dec"):
            raise PydanticCustomError("amount", "must not be negative for inc and dec")
        return amount

    @field_validator("only_if_unchanged")
    @classmethod
    def _check_only_if_unchanged(cls, only_if_unchanged: bool, info: ValidationInfo) -> bool:
        if only_if_unchanged and info.data.get("dry_run") is False:
            raise PydanticCustomError(
                "only_if_unchanged", "there is no plan to compare with: dry_run is false"
            )
        return only_if_unchanged

    @field_validator("duplicates")
    @classmethod
    def _check_duplicates(cls, duplicates: str | None, info: ValidationInfo) -> str | None:
        mode = info.data.get("mode")
        allowed = ("refuse", "last") if mode == "set" else ("refuse", "allow")
        if mode is not None and duplicates is not None and duplicates not in allowed:
            raise PydanticCustomError("duplicates", f"expected {' or '.join(allowed)} for {mode}")
        return duplicates

    def order(self) -> Order:
        default = Duplicates.REFUSE if self.mode == "set" else Duplicates.ALLOW
        return Order(
            Model.MODIFY,
            self.cluster,
            self.eids,
            mode=Mode(self.mode),
            amount=self.amount,
            duplicates=Duplicates(self.duplicates) if self.duplicates else default,
            dry_run=self.dry_run,
            only_if_unchanged=self.only_if_unchanged,
            confirm_repeat=self.confirm_repeat,
            canary_rows=self.canary_rows,
            canary_wait=self.canary_wait,
            verify=Verify(self.verify),
            description=self.description or "",
            operatorid=self.operatorid,
            operatorname=self.operatorname,
        )


class DecisionRequest(Request):
    """What a second person says to an operation that waits for approval."""

    reason: Annotated[str, Field(min_length=1, max_length=DESCRIPTION_CHARACTERS_MAX), Text]
    #: who decides; may be left out where the way in tells
    operatorid: OperatorId | None = None
    operatorname: OperatorName | None = None


class QueryHandIn(Request):
    """POST /query as JSON, for a file uploaded before."""

    config: QueryConfig
    sourcename: Annotated[str, Field(min_length=1, max_length=255)]


class ModifyHandIn(Request):
    """POST /modify as JSON, for a file uploaded before."""

    config: ModifyConfig
    sourcename: Annotated[str, Field(min_length=1, max_length=255)]


class OperationsRequest(Request):
    """The filters of /queryoperationsbyoperatorid."""

    signed = False
    operatorid: OperatorId | None = None
    from_: Annotated[Time | None, Field(alias="from")] = None
    to: Time | None = None
    state: State | None = None
    cluster: ClusterName | None = None
    model: Model | None = None
    #: looked for in the description, the note and the source's own name
    q: Annotated[str, Field(max_length=DESCRIPTION_CHARACTERS_MAX), Text] | None = None
    #: older than the operation of this id
    before: Annotated[int, Whole, Field(ge=1, le=OPERATION_ID_MAX)] | None = None
    page: Annotated[int, Whole, Field(ge=1, le=PAGE_MAX)] = 1
    page_size: Annotated[int, Whole, Field(ge=1, le=PAGE_SIZE_MAX)] = 20


class ActivityRequest(Request):
    """How much of the last hour."""

    minutes: Annotated[int, Whole, Field(ge=1, le=60)] = 60


class AuditRequest(Request):
    """Which entries of the audit."""

    signed = False
    #: about this operation
    operation: Annotated[int, Whole, Field(ge=1, le=OPERATION_ID_MAX)] | None = None
    #: a part of who did it
    who: Annotated[str, Field(min_length=1, max_length=64), Text] | None = None
    action: Annotated[str, Field(min_length=1, max_length=64), Text] | None = None
    from_: Annotated[Time | None, Field(alias="from")] = None
    to: Time | None = None
    #: older than the entry of this id
    before: Annotated[int, Whole, Field(ge=1, le=USER_MAX)] | None = None
    limit: Annotated[int, Whole, Field(ge=1, le=PAGE_SIZE_MAX)] = 50


class DiaryRequest(Request):
    """How much of the restart diary."""

    limit: Annotated[int, Whole, Field(ge=1, le=500)] = 50


class IncidentsRequest(Request):
    """Which incidents."""

    #: absent: open and closed ones
    open: Flag | None = None
    kind: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    page: Annotated[int, Whole, Field(ge=1, le=PAGE_MAX)] = 1
    page_size: Annotated[int, Whole, Field(ge=1, le=PAGE_SIZE_MAX)] = 20


class RowsRequest(Request):
    """Which rows of a result."""

    #: as results name it
    status: Annotated[str, AfterValidator(_check_row_status)] | None = None
    #: of this user
    user: Annotated[int, Whole, Field(ge=0, le=2**64 - 1)] | None = None
    offset: Annotated[int, Whole, Field(ge=0, le=OFFSET_MAX)] = 0
    limit: Annotated[int, Whole, Field(ge=1, le=ROWS_LIMIT_MAX)] = 100


class DownloadRequest(Request):
    """Which file, and what of it."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    rows: Literal["all", "failed"] = "all"
    #: results only; `bom=0` leaves it out
    bom: Flag = True

    @field_validator("rows")
    @classmethod
    def _check_rows(cls, rows: str, info: ValidationInfo) -> str:
        if rows == "failed" and not info.data.get("name", "").endswith("-result.csv"):
            raise PydanticCustomError("rows", "only a result has failed rows")
        return rows


class ClusterChange(Request):
    """What may be changed about a cluster while it runs."""

    #: 0: as fast as it goes
    rows_per_s: Annotated[int, Whole, Field(ge=0, le=2**31 - 1)] | None = None
    #: true parks its operations
    drain: StrictFlag | None = None


class ClusterTitleEntry(Request):
    """A cluster's name as people know it."""

    name: ClusterName
    title: Annotated[str, Field(max_length=255), Text]


class EidEntry(Request):
    """One counter of a cluster."""

    cluster: ClusterName
    eid: Eid
    name: Annotated[str, Field(max_length=255), Text] = ""
    unit: Annotated[str, Field(max_length=32), Text] = ""
    minimum: Amount | None = None
    maximum: Amount | None = None
    editable: StrictFlag = True

    @field_validator("maximum")
    @classmethod
    def _check_bounds(cls, maximum: int | None, info: ValidationInfo) -> int | None:
        minimum = info.data.get("minimum")
        if maximum is not None and minimum is not None and maximum < minimum:
            raise PydanticCustomError("bounds", "must not be less than minimum")
        return maximum


class Definitions(Request):
    """All of `define_nosdata_*`: what is not listed any more is removed."""

    clusters: list[ClusterTitleEntry]
    eids: list[EidEntry]

    @field_validator("clusters")
    @classmethod
    def _check_clusters(cls, entries: list[ClusterTitleEntry]) -> list[ClusterTitleEntry]:
        _refuse_repeated([entry.name for entry in entries])
        return entries

    @field_validator("eids")
    @classmethod
    def _check_eids(cls, entries: list[EidEntry]) -> list[EidEntry]:
        _refuse_repeated([f"{entry.cluster} {entry.eid}" for entry in entries])
        return entries


def _refuse_repeated(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise PydanticCustomError("repeated", f"{name} stands there twice")
        seen.add(name)


def validate(model: type[RequestModel], value: Any) -> RequestModel:
    """Return the request. Raises InvalidConfigError with every problem, TooLargeError for too many EIDs."""
    if not isinstance(value, dict):
        raise InvalidConfigError([FieldProblem("", "expected an object with fields")])
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidConfigError(_problems(error)) from error


def validate_parameters(model: type[RequestModel], arguments: Mapping[str, list[bytes]]) -> RequestModel:
    """Return the request that a query string makes. Raises InvalidConfigError with every problem."""
    repeated = [
        FieldProblem(name[:64], "given twice") for name, values in arguments.items() if len(values) > 1
    ]
    if repeated:
        raise InvalidConfigError(repeated[:PROBLEMS_MAX])
    return validate(model, {name: _decode(name, values[0]) for name, values in arguments.items()})


def _decode(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidConfigError([FieldProblem(name[:64], "is not UTF-8")]) from error


def _problems(error: ValidationError) -> list[FieldProblem]:
    details = error.errors(include_url=False, include_context=True, include_input=False)
    return [FieldProblem(_field_name(detail), _reason(detail)) for detail in details[:PROBLEMS_MAX]]


def _field_name(detail: ErrorDetails) -> str:
    """Name a field as the API's pages do: the fields of `config` by themselves, items by their number."""
    where = [part for part in detail["loc"] if part != "config"] or list(detail["loc"])
    # the n-th EID is a problem of the field `eids`
    if len(where) == 2 and where[0] == "eids" and isinstance(where[1], int):
        where = where[:1]
    return ".".join(str(part) for part in where)[:128]


def _reason(detail: ErrorDetails) -> str:
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "unknown field"
        case "too_short" | "string_too_short":
            return "must not be empty"
    return detail["msg"].replace("Input should be", "must be")
