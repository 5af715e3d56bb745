"""What may be asked, and how a wrong request is told so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eomd.errors import FieldProblem, InvalidConfigError, TooLargeError
from eomd.handlers.child_requests import SettleRequest, UndoRequest
from eomd.handlers.people_requests import TokenRequest
from eomd.handlers.requests import (
    ClusterChange,
    Definitions,
    DownloadRequest,
    ModifyConfig,
    ModifyHandIn,
    OperationsRequest,
    QueryConfig,
    RowsRequest,
    validate,
    validate_parameters,
)
from eomd.model import Duplicates, Mode, Model, Order, State

QUERY = {"cluster": "fish", "eids": [1001, 1002], "operatorid": 7, "operatorname": "li"}
MODIFY = {**QUERY, "mode": "inc"}


def problems(model: Any, value: Any) -> dict[str, str]:
    with pytest.raises(InvalidConfigError) as caught:
        validate(model, value)
    return {problem.field: problem.reason for problem in caught.value.problems}


def test_a_query_becomes_an_order() -> None:
    order = validate(QueryConfig, {**QUERY, "description": "说明"}).order()
    expected = Order(Model.QUERY, "fish", (1001, 1002), description="说明", operatorid=7, operatorname="li")
    assert order == expected


def test_a_modify_becomes_an_order() -> None:
    order = validate(ModifyConfig, {**MODIFY, "amount": 5, "dry_run": True, "confirm_repeat": True}).order()
    assert (order.model, order.mode, order.amount, order.dry_run) == (Model.MODIFY, Mode.INC, 5, True)
    assert order.confirm_repeat


@pytest.mark.parametrize("eids", [[1001, 1002], "1001,1002", " 1001 , 1002 ", ["1001", "1002"]])
def test_eids_are_a_list_or_a_text(eids: object) -> None:
    assert validate(QueryConfig, {**QUERY, "eids": eids}).eids == (1001, 1002)


@pytest.mark.parametrize(
    "eids",
    [
        [],
        "",
        ",",
        "1001,",
        [0],
        [2**32],
        [-1],
        [1.0],
        [True],
        [1001, 1001],
        "1001 1002",
        1001,
        {},
        None,
        [[1]],
        "x",
    ],
)
def test_wrong_eids_are_a_problem_of_the_field_eids(eids: object) -> None:
    assert set(problems(QueryConfig, {**QUERY, "eids": eids})) == {"eids"}


def test_sixteen_eids_are_taken_and_seventeen_are_too_large() -> None:
    validate(QueryConfig, {**QUERY, "eids": list(range(1, 17))})
    with pytest.raises(TooLargeError, match="eids = 16"):
        validate(QueryConfig, {**QUERY, "eids": list(range(1, 18))})
    with pytest.raises(TooLargeError):
        validate(QueryConfig, {**QUERY, "eids": ",".join(map(str, range(1, 18)))})


def test_all_problems_are_told_at_once() -> None:
    found = problems(ModifyConfig, {"eids": [], "mode": "add", "dry_rum": True, "amount": "x"})
    assert set(found) == {"cluster", "eids", "mode", "dry_rum", "amount", "operatorid", "operatorname"}
    assert found["dry_rum"] == "unknown field"
    assert found["cluster"] == "is missing"


def test_only_if_unchanged_goes_with_a_dry_run() -> None:
    strict = {**MODIFY, "only_if_unchanged": True}
    assert validate(ModifyConfig, {**strict, "dry_run": True}).order().only_if_unchanged
    assert not validate(ModifyConfig, {**MODIFY, "dry_run": True}).order().only_if_unchanged
    wrong = "there is no plan to compare with: dry_run is false"
    assert problems(ModifyConfig, strict) == {"only_if_unchanged": wrong}
    assert set(problems(ModifyConfig, {**strict, "dry_run": "yes"})) == {"dry_run"}
    assert problems(QueryConfig, {**QUERY, "only_if_unchanged": True}) == {
        "only_if_unchanged": "unknown field"
    }


@pytest.mark.parametrize("field", ["mode", "amount", "duplicates", "dry_run"])
def test_a_query_has_no_fields_of_a_modify(field: str) -> None:
    assert problems(QueryConfig, {**QUERY, field: "inc"}) == {field: "unknown field"}


@pytest.mark.parametrize("value", [{}, [], "x", 1, None])
def test_a_config_that_is_no_object_is_one_problem(value: object) -> None:
    assert problems(QueryConfig, value)


@pytest.mark.parametrize("operatorid", [0, 7, "7", 2**63 - 1, str(2**63 - 1)])
def test_operatorid_may_be_any_bigint(operatorid: object) -> None:
    assert validate(QueryConfig, {**QUERY, "operatorid": operatorid}).operatorid == int(str(operatorid))


@pytest.mark.parametrize("operatorid", [-1, 2**63, 1.5, 7.0, True, "", "7x", "٧", None, [], 10**30])
def test_a_wrong_operatorid_is_named(operatorid: object) -> None:
    assert set(problems(QueryConfig, {**QUERY, "operatorid": operatorid})) == {"operatorid"}


@pytest.mark.parametrize("name", ["", "x" * 65, None, 7, "a\0b", "\ud800"])
def test_a_wrong_operatorname_is_named(name: object) -> None:
    assert set(problems(QueryConfig, {**QUERY, "operatorname": name})) == {"operatorname"}


def test_a_description_has_1_to_255_characters() -> None:
    validate(QueryConfig, {**QUERY, "description": "说" * 255})
    assert set(problems(QueryConfig, {**QUERY, "description": "说" * 256})) == {"description"}
    assert problems(QueryConfig, {**QUERY, "description": ""}) == {"description": "must not be empty"}


@pytest.mark.parametrize("wait_s", [0, 60, 0.5])
def test_wait_s_within_its_bounds(wait_s: float) -> None:
    assert validate(QueryConfig, {**QUERY, "wait_s": wait_s}).wait_s == wait_s


@pytest.mark.parametrize("wait_s", [-1, 60.1, "5", True, float("nan"), float("inf")])
def test_wait_s_out_of_its_bounds(wait_s: object) -> None:
    assert set(problems(QueryConfig, {**QUERY, "wait_s": wait_s})) == {"wait_s"}


@pytest.mark.parametrize(
    ("mode", "given", "expected"),
    [
        ("inc", None, Duplicates.ALLOW),
        ("dec", None, Duplicates.ALLOW),
        ("set", None, Duplicates.REFUSE),
        ("inc", "refuse", Duplicates.REFUSE),
        ("dec", "allow", Duplicates.ALLOW),
        ("set", "last", Duplicates.LAST),
        ("set", "refuse", Duplicates.REFUSE),
    ],
)
def test_duplicates_by_mode(mode: str, given: str | None, expected: Duplicates) -> None:
    assert (
        validate(ModifyConfig, {**MODIFY, "mode": mode, "duplicates": given}).order().duplicates is expected
    )


@pytest.mark.parametrize(
    ("mode", "given"), [("inc", "last"), ("dec", "last"), ("set", "allow"), ("inc", "x")]
)
def test_duplicates_that_a_mode_does_not_have(mode: str, given: str) -> None:
    assert set(problems(ModifyConfig, {**MODIFY, "mode": mode, "duplicates": given})) == {"duplicates"}


@pytest.mark.parametrize(
    ("mode", "amount"), [("inc", 0), ("dec", 2**63 - 1), ("set", -(2**63)), ("set", "-5"), ("inc", "5")]
)
def test_amounts_by_mode(mode: str, amount: object) -> None:
    assert validate(ModifyConfig, {**MODIFY, "mode": mode, "amount": amount}).amount == int(str(amount))


@pytest.mark.parametrize(
    ("mode", "amount"),
    [
        ("inc", -1),
        ("dec", "-1"),
        ("set", 2**63),
        ("set", -(2**63) - 1),
        ("inc", 1.0),
        ("inc", True),
        ("inc", "+1"),
    ],
)
def test_amounts_that_a_mode_does_not_have(mode: str, amount: object) -> None:
    assert set(problems(ModifyConfig, {**MODIFY, "mode": mode, "amount": amount})) == {"amount"}


@pytest.mark.parametrize("mode", ["restore", "INC", "", None, 1])
def test_modes_that_nobody_may_ask_for(mode: object) -> None:
    assert set(problems(ModifyConfig, {**MODIFY, "mode": mode})) == {"mode"}


@pytest.mark.parametrize("dry_run", ["true", 1, None, "no"])
def test_dry_run_is_a_truth_value(dry_run: object) -> None:
    assert set(problems(ModifyConfig, {**MODIFY, "dry_run": dry_run})) == {"dry_run"}


def test_fields_of_a_nested_config_are_named_by_themselves() -> None:
    found = problems(ModifyHandIn, {"config": {**MODIFY, "dry_rum": True}, "sourcenam": "x"})
    assert found == {
        "dry_rum": "unknown field",
        "sourcename": "is missing",
        "sourcenam": "unknown field",
    }


def parameters(model: Any, /, **arguments: str) -> Any:
    return validate_parameters(model, {name: [value.encode()] for name, value in arguments.items()})


def test_filters_come_from_a_query_string() -> None:
    request = parameters(
        OperationsRequest, operatorid="9223372036854775807", state="queued", model="modify", page="2", q="x",
        to="2026-01-01T00:00:00Z", **{"from": "2025-01-01T00:00:00.5+08:00"},
    )  # fmt: skip
    assert request.operatorid == 2**63 - 1
    assert (request.state, request.model, request.page, request.page_size) == (
        State.QUEUED,
        Model.MODIFY,
        2,
        20,
    )
    assert request.to == datetime(2026, 1, 1, tzinfo=UTC)
    assert request.from_.utcoffset().total_seconds() == 8 * 3600


def test_a_plus_sign_lost_in_a_query_string_is_found_again() -> None:
    request = parameters(OperationsRequest, **{"from": "2025-01-01T00:00:00 08:00"})
    assert request.from_.isoformat() == "2025-01-01T00:00:00+08:00"


@pytest.mark.parametrize(
    "arguments",
    [
        {"page": "0"},
        {"page": "x"},
        {"page_size": "201"},
        {"page_size": "0"},
        {"state": "gone"},
        {"model": "x"},
        {"from": "2025-01-01"},
        {"from": "2025-01-01T00:00:00"},
        {"from": "2025-13-01T00:00:00Z"},
        {"operatorid": ""},
        {"from_": "2025-01-01T00:00:00Z"},
        {"pagesize": "5"},
    ],
)
def test_wrong_filters_are_named(arguments: dict[str, str]) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        parameters(OperationsRequest, **arguments)
    assert {problem.field for problem in caught.value.problems} == set(arguments)


def test_a_field_given_twice_is_refused() -> None:
    with pytest.raises(InvalidConfigError, match="given twice"):
        validate_parameters(OperationsRequest, {"page": [b"1", b"2"]})


def test_a_field_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(InvalidConfigError, match="UTF-8"):
        validate_parameters(OperationsRequest, {"q": [b"\xff"]})


@pytest.mark.parametrize(
    "arguments", [{"limit": "1001"}, {"limit": "0"}, {"offset": "-1"}, {"status": "FINE"}]
)
def test_wrong_rows_requests(arguments: dict[str, str]) -> None:
    with pytest.raises(InvalidConfigError):
        parameters(RowsRequest, **arguments)


def test_a_download_has_a_bom_unless_asked_not_to() -> None:
    assert parameters(DownloadRequest, name="1-result.csv").bom
    assert not parameters(DownloadRequest, name="1-result.csv", bom="0").bom
    assert problems(DownloadRequest, {"name": "x", "bom": "maybe"}) == {"bom": "expected 1 or 0"}


def test_failed_rows_are_a_results_alone() -> None:
    assert parameters(DownloadRequest, name="1-result.csv", rows="failed").rows == "failed"
    for name in ("1-source.csv", "1-log.txt", ""):
        assert "rows" in problems(DownloadRequest, {"name": name, "rows": "failed"})


@pytest.mark.parametrize("change", [{"rows_per_s": -1}, {"drain": 1}, {"drain": "true"}, {"speed": 5}])
def test_wrong_cluster_changes(change: dict[str, object]) -> None:
    assert set(problems(ClusterChange, change)) == set(change)


def test_definitions_name_the_entry_that_is_wrong() -> None:
    eid = {"cluster": "fish", "eid": 1001}
    wrong = {"clusters": [{"name": "fish", "title": "捕鱼"}], "eids": [eid, {**eid, "eid": 0, "unit": 3}]}
    assert set(problems(Definitions, wrong)) == {"eids.1.eid", "eids.1.unit"}
    assert "twice" in problems(Definitions, {"clusters": [], "eids": [eid, eid]})["eids"]
    bounds = {**eid, "minimum": 5, "maximum": 4}
    assert set(problems(Definitions, {"clusters": [], "eids": [bounds]})) == {"eids.0.maximum"}


@pytest.mark.parametrize(
    "change", [{"role": "root"}, {"name": ""}, {"expires_days": 0}, {"expires_days": 9999}]
)
def test_wrong_tokens(change: dict[str, object]) -> None:
    assert set(problems(TokenRequest, {"name": "mis", "role": "operator", **change})) == set(change)


@pytest.mark.parametrize(
    ("rows", "field", "reason"),
    [
        ([], "rows", "must not be empty"),
        ("some", "rows", 'expected "all" or a list of row numbers'),
        (None, "rows", 'expected "all" or a list of row numbers'),
        (7, "rows", 'expected "all" or a list of row numbers'),
        ([3, "x"], "rows.1", "expected a whole number"),
        ([-1], "rows.0", "must be greater than or equal to 0"),
    ],
)
def test_rows_to_settle_that_are_wrong_are_told_in_our_own_words(
    rows: object, field: str, reason: str
) -> None:
    assert problems(SettleRequest, {"rows": rows, "as": "applied"}) == {field: reason}


def test_rows_to_settle_are_numbers_or_all() -> None:
    assert validate(SettleRequest, {"rows": [3, "4"], "as": "applied"}).rows == (3, 4)
    assert validate(SettleRequest, {"rows": "all", "as": "applied"}).rows is None
    assert problems(SettleRequest, {"as": "applied"}) == {"rows": "is missing"}


def test_what_is_wrong_with_a_request_as_a_whole_is_told_without_a_field() -> None:
    with pytest.raises(InvalidConfigError, match=r"^config: operatorid and operatorname go together$"):
        validate(UndoRequest, {"operatorid": 7})


def test_too_large_eids_are_told_before_the_field_is_read_item_by_item() -> None:
    with pytest.raises(TooLargeError):
        validate(QueryConfig, {"eids": "1," * 30_000})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*MODIFY, "amount", "duplicates", "wait_s", "x"]), JSON))
def test_any_config_is_an_order_or_a_list_of_problems(value: dict[str, object]) -> None:
    try:
        validate(ModifyConfig, value).order()
    except InvalidConfigError as error:
        assert all(isinstance(p, FieldProblem) and p.field and p.reason for p in error.problems)
    except TooLargeError:
        return
