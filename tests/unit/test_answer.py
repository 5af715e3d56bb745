"""What answers look like."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd import errors
from eomd.errors import FieldProblem, FileProblem
from eomd.handlers.answer import (
    SAFE_INTEGER_MAX,
    STATUSES,
    encode,
    failure_of,
    internal_failure,
    method_not_allowed,
    spell_bigints,
    success,
)

PROBLEM = FileProblem(3, "amount", "x", "not a number")


@pytest.mark.parametrize(
    ("error", "http", "number", "code"),
    [
        (errors.BadRequestError("x"), 400, 40001, "BAD_REQUEST"),
        (errors.InvalidConfigError([FieldProblem("eids", "is missing")]), 400, 40002, "INVALID_CONFIG"),
        (errors.InvalidFileError([PROBLEM], 1), 400, 40003, "INVALID_FILE"),
        (errors.UnauthenticatedError("x"), 401, 40101, "UNAUTHENTICATED"),
        (errors.ForbiddenError("x"), 403, 40301, "FORBIDDEN"),
        (errors.NotFoundError("x"), 404, 40401, "NOT_FOUND"),
        (errors.WrongStateError(1, "failed", "cancel"), 409, 40901, "WRONG_STATE"),
        (errors.KeyReusedError("x"), 409, 40902, "KEY_REUSED"),
        (errors.GoneError("1-result.csv", datetime(2026, 1, 1, tzinfo=UTC)), 410, 41001, "GONE"),
        (errors.TooLargeError("eids", 16, "EIDs"), 413, 41301, "TOO_LARGE"),
        (errors.QueueFullError("x"), 429, 42901, "QUEUE_FULL"),
        (errors.LedgerUnavailableError("x"), 503, 50301, "LEDGER_UNAVAILABLE"),
        (errors.DrainingError("x"), 503, 50302, "DRAINING"),
        (errors.DiskFullError("x"), 507, 50701, "DISK_FULL"),
    ],
)
def test_every_error_has_its_status_and_number(
    error: errors.EomdError, http: int, number: int, code: str
) -> None:
    failure = failure_of(error)
    envelope = failure.envelope()
    assert (failure.http, envelope["code"], envelope["error"]) == (http, number, code)
    assert envelope["msg"] == str(error)


def test_every_request_error_has_a_row_in_the_table() -> None:
    kinds = [*errors.RequestError.__subclasses__(), *errors.UnavailableError.__subclasses__()]
    # each later issue brings its errors' rows along with its errors
    assert {kind.code for kind in kinds} <= set(STATUSES)


def test_numbers_start_with_their_http_status() -> None:
    assert all(status.number // 100 == status.http for status in STATUSES.values())


def test_facts_of_an_error_are_data() -> None:
    config = failure_of(errors.InvalidConfigError([FieldProblem("eids", "is missing")]))
    assert config.data == {"problems": [{"field": "eids", "reason": "is missing"}]}
    file = failure_of(errors.InvalidFileError([PROBLEM], 7))
    assert file.data["total_problems"] == 7
    assert file.data["problems"] == [{"line": 3, "column": "amount", "value": "x", "reason": "not a number"}]
    assert failure_of(errors.TooLargeError("eids", 16, "EIDs")).data == {"limit": "eids", "value": 16}
    assert failure_of(errors.WrongStateError(5, "failed", "cancel")).data["state"] == "failed"


def test_what_may_succeed_later_says_when() -> None:
    for kind in errors.UnavailableError.__subclasses__():
        assert int(failure_of(kind("x")).headers["Retry-After"]) > 0


def test_unauthenticated_says_how_to_authenticate() -> None:
    assert failure_of(errors.UnauthenticatedError("x")).headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "error", [errors.FrameError("secret"), errors.FolderInUseError("secret"), errors.EomdError("secret")]
)
def test_inner_errors_give_nothing_away(error: errors.EomdError) -> None:
    failure = failure_of(error)
    assert failure.code == "INTERNAL"
    assert "secret" not in json.dumps(failure.envelope())


def test_references_differ() -> None:
    assert internal_failure().data["reference"] != internal_failure().data["reference"]


def test_method_not_allowed_lists_the_methods() -> None:
    failure = method_not_allowed("PUT", ["GET", "HEAD"])
    assert failure.headers == {"Allow": "GET, HEAD"}
    assert failure.http == 405


def test_text_stays_readable() -> None:
    assert "捕鱼".encode() in encode(success("捕鱼"))


def test_a_lone_surrogate_does_not_stop_an_answer() -> None:
    assert json.loads(encode(success("a\ud800b")))["data"] == "a?b"


@given(st.integers(-(2**70), 2**70))
def test_bigints_are_strings_exactly_where_javascript_would_round(number: int) -> None:
    value = json.loads(encode({"a": [{"b": number}]}, bigint_as_string=True))["a"][0]["b"]
    assert int(value) == number
    assert isinstance(value, str) == (abs(number) > SAFE_INTEGER_MAX)


def test_truth_values_stay_truth_values() -> None:
    assert spell_bigints({"a": True, "b": None, "c": 1.5}) == {"a": True, "b": None, "c": 1.5}
