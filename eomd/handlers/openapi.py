"""GET /openapi.json: the API described, from the routes and the models that validate its requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from eomd import __version__
from eomd.handlers.access import SESSION_COOKIE
from eomd.handlers.answer import STATUSES
from eomd.handlers.base import ApiHandler
from eomd.handlers.route import API_PREFIX, Method, Route

Schema = dict[str, Any]
_REF = "#/components/schemas/{model}"
_FAILURE = "Failure"


class OpenApiHandler(ApiHandler):
    async def get(self) -> None:
        loop = asyncio.get_running_loop()
        self.finish(await loop.run_in_executor(self.context.receiving, self.context.openapi))


def describe_api(routes: Sequence[Route]) -> Schema:
    """Return the OpenAPI 3.1 document of these routes, the internal ones and the console's left out."""
    described = [route for route in routes if not (route.internal or route.console)]
    schemas, components = _collect_schemas(described)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "eomd",
            "version": __version__,
            "description": "Reads and changes per-player counters of millions of players from a CSV. "
            "Every path answers at the root as well.",
        },
        "servers": [{"url": API_PREFIX}, {"url": "/"}],
        "paths": {route.path: _describe_path(route, schemas) for route in described},
        "components": {
            "schemas": {**components, _FAILURE: _failure_schema()},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                # what changes something needs its xsrf_token besides, as the header X-XSRF-Token
                "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
            },
        },
    }


class _Schemas:
    """The schema of each model and answer, by identity."""

    def __init__(self, refs: dict[tuple[int, str], Schema]) -> None:
        self._refs = refs

    def request(self, model: type[BaseModel]) -> Schema:
        return self._refs[id(model), "validation"]

    def response(self, shape: Any) -> Schema:
        return self._refs[id(shape), "serialization"]


def _collect_schemas(routes: Sequence[Route]) -> tuple[_Schemas, dict[str, Schema]]:
    methods = [method for route in routes for method in route.methods.values()]
    inputs: list[Any] = []
    for method in methods:
        inputs += [m for m in (method.request, method.config) if m is not None and m not in inputs]
    outputs: list[Any] = []
    for method in methods:
        if method.response is not None and method.response not in outputs:
            outputs.append(method.response)
    adapters = [((id(m), "validation"), "validation", TypeAdapter(m)) for m in inputs]
    adapters += [((id(m), "serialization"), "serialization", TypeAdapter(m)) for m in outputs]
    found, definitions = TypeAdapter.json_schemas(adapters, ref_template=_REF, schema_generator=_Plain)  # type: ignore[arg-type]
    return _Schemas({key[0]: schema for key, schema in found.items()}), definitions.get("$defs", {})


class _Plain(GenerateJsonSchema):
    """Without a title for each field: the field's name says the same."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _describe_path(route: Route, schemas: _Schemas) -> Schema:
    names = re.findall(r"{(\w+)}", route.path)
    described: Schema = {name.lower(): _describe_method(route, name, schemas) for name in route.methods}
    if names:
        described["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    return described


def _describe_method(route: Route, name: str, schemas: _Schemas) -> Schema:
    method = route.methods[name]
    described: Schema = {
        "summary": method.summary,
        "operationId": _operation_id(route, name),
        "parameters": _describe_parameters(method),
        "responses": {
            str(method.status): _describe_success(method, schemas),
            "default": {
                "description": "Failure: " + ", ".join(STATUSES),
                "content": {"application/json": {"schema": {"$ref": _REF.format(model=_FAILURE)}}},
            },
        },
        "security": [{}] * (method.role is None) + [{"token": []}, {"session": []}],
    }
    if method.role is not None:
        described["description"] = f"Role: {method.role.format()} or above."
    body = _describe_body(method, schemas)
    if body:
        described["requestBody"] = {"required": True, "content": body}
    return described


def _operation_id(route: Route, name: str) -> str:
    words = [word for word in re.split(r"\W+", route.path) if word]
    return "_".join([name.lower(), *words]) if words else f"{name.lower()}_root"


def _describe_parameters(method: Method) -> list[Schema]:
    described: list[Schema] = [
        {
            "name": "bigint",
            "in": "query",
            "description": "string: integers beyond 2^53-1 come as strings",
            "schema": {"enum": ["number", "string"], "default": "number"},
        }
    ]
    if method.parameters is not None:
        schema = method.parameters.model_json_schema(ref_template=_REF, schema_generator=_Plain)
        definitions = schema.get("$defs", {})
        required = schema.get("required", [])
        for name, field in schema["properties"].items():
            field = _inline(field, definitions)
            described.append({"name": name, "in": "query", "required": name in required, "schema": field})
    if method.config is not None:
        described.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "the same key, operator and content within 24 h: the same operation",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        )
    return described


def _inline(schema: Any, definitions: dict[str, Schema]) -> Any:
    """Return a parameter's schema with the little enumerations it refers to put in their place."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            return definitions[reference.rpartition("/")[2]]
        return {key: _inline(value, definitions) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_inline(item, definitions) for item in schema]
    return schema


def _describe_body(method: Method, schemas: _Schemas) -> Schema:
    body: Schema = {}
    if method.upload:
        file = {"type": "string", "contentMediaType": "text/csv"}
        parts: Schema = {"file": file}
        if method.config is not None:
            parts = {"config": schemas.request(method.config), "file": file}
        encoding = {"config": {"contentType": "application/json"}} if method.config is not None else {}
        body["multipart/form-data"] = {
            "schema": {"type": "object", "properties": parts, "required": list(parts)},
            "encoding": encoding,
        }
    if method.request is not None:
        body["application/json"] = {"schema": schemas.request(method.request)}
    return body


def _describe_success(method: Method, schemas: _Schemas) -> Schema:
    if method.media_type is not None:
        return {"description": "Success", "content": {method.media_type: {"schema": {"type": "string"}}}}
    data = schemas.response(method.response) if method.response is not None else {}
    envelope = {
        "type": "object",
        "properties": {"code": {"const": 0}, "msg": {"const": "ok"}, "data": data},
        "required": ["code", "msg", "data"],
    }
    return {"description": "Success", "content": {"application/json": {"schema": envelope}}}


def _failure_schema() -> Schema:
    return {
        "type": "object",
        "properties": {
            "code": {"enum": [status.number for status in STATUSES.values()]},
            "error": {"enum": list(STATUSES)},
            "msg": {"type": "string"},
            "data": {"type": "object"},
        },
        "required": ["code", "error", "msg", "data"],
    }
