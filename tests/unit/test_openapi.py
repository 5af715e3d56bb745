"""The description of the API is of the API that is served."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from tornado.web import RequestHandler

from eomd.handlers.openapi import describe_api
from eomd.handlers.requests import ModifyConfig, OperationsRequest, QueryConfig
from eomd.handlers.route import API_PREFIX, Route
from eomd.handlers.routes import make_routes

INTERNAL = [route for route in make_routes() if route.internal]
CONSOLE = [route for route in make_routes() if route.console]
ROUTES = [route for route in make_routes() if not (route.internal or route.console)]
DOCUMENT = describe_api(make_routes())
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for name, operation in item.items():
            if name != "parameters":
                yield path, name, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_route_is_described_and_nothing_else() -> None:
    served = {(route.path, name.lower()) for route in ROUTES for name in route.methods}
    assert served == {(path, name) for path, name, _ in operations()}


def test_the_document_has_the_shape_of_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert all(path.startswith("/") for path in DOCUMENT["paths"])
    for _, name, operation in operations():
        assert name in METHODS
        assert operation["responses"]
        assert all(re.fullmatch(r"[1-5]\d\d|default", status) for status in operation["responses"])
        assert all("description" in response for response in operation["responses"].values())
        assert all({"name", "in", "schema"} <= set(parameter) for parameter in operation["parameters"])
    json.dumps(DOCUMENT, allow_nan=False)


def test_operation_ids_are_unique() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    found = set(references(DOCUMENT))
    assert found
    assert {reference.removeprefix("#/components/schemas/") for reference in found} <= set(schemas)


def test_names_in_a_path_are_described() -> None:
    for path, item in DOCUMENT["paths"].items():
        names = {parameter["name"] for parameter in item.get("parameters", [])}
        assert names == set(re.findall(r"{(\w+)}", path))


@pytest.mark.parametrize(("path", "model"), [("/query", QueryConfig), ("/modify", ModifyConfig)])
def test_a_hand_in_is_described_by_the_model_that_validates_it(path: str, model: Any) -> None:
    content = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/json"}
    config = content["multipart/form-data"]["schema"]["properties"]["config"]
    name = config["$ref"].rpartition("/")[2]
    described = DOCUMENT["components"]["schemas"][name]
    assert set(described["properties"]) == set(model.model_fields)
    assert described["additionalProperties"] is False


def test_filters_are_described_by_their_names_on_the_wire() -> None:
    parameters = DOCUMENT["paths"]["/queryoperationsbyoperatorid"]["get"]["parameters"]
    expected = {field.alias or name for name, field in OperationsRequest.model_fields.items()}
    assert {parameter["name"] for parameter in parameters} == expected | {"bigint"}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_path_answers_at_the_root_and_under_the_prefix(route: Route) -> None:
    concrete = route.path.replace("{id}", "12").replace("{name}", "fish")
    pattern = re.compile(route.pattern + "$")
    assert pattern.match(concrete)
    assert pattern.match(API_PREFIX + concrete)
    assert not pattern.match("/api/v2" + concrete)
    assert not pattern.match(concrete + "x/y")


@pytest.mark.parametrize(
    ("routes", "prefix"), [(INTERNAL, "/internal/"), (CONSOLE, "/console")], ids=["internal", "console"]
)
def test_what_is_no_part_of_the_api_answers_at_one_place_alone(routes: list[Route], prefix: str) -> None:
    assert routes
    for route in routes:
        assert route.path.startswith(prefix)
        pattern = re.compile(route.pattern + "$")
        assert pattern.match(route.path)
        assert not pattern.match(API_PREFIX + route.path)


def test_no_path_is_served_twice() -> None:
    for route in ROUTES + CONSOLE:
        concrete = re.sub(r"{\w+}", "12", route.path)
        assert [r.path for r in ROUTES + CONSOLE if re.match(r.pattern + "$", concrete)] == [route.path]


@pytest.mark.parametrize("route", ROUTES + CONSOLE, ids=lambda route: route.path)
def test_a_handler_has_every_method_of_its_route(route: Route) -> None:
    for name in route.methods:
        assert getattr(route.handler, name.lower()) is not getattr(RequestHandler, name.lower()), name
