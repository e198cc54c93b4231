"""`/openapi.json` from the endpoints and the models that validate their bodies. OpenAPI 3.1."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import metadata
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tidegate.http import answers
from tidegate.http.endpoint import Access, Endpoint

REF = "#/components/schemas/{model}"
PATH_PARAMETER = re.compile(r"\{(\w+)\}")
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "maxLength": 255},
    "description": "The same key again gets the first answer again, for a day.",
}


def document() -> dict[str, Any]:
    """The whole description."""
    from tidegate.http.routes import ENDPOINTS

    schemas, refs = _schemas(ENDPOINTS)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate",
            "version": _version(),
            "summary": "Rooms, sessions, WHIP, WHEP and events of a Tidegate server",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(endpoint.tag for endpoint in ENDPOINTS)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {"Problem": _problem(refs)},
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "A JWT signed with your key's secret, with or without `Bearer`: docs/tokens.md.",
                },
                "console": {"type": "apiKey", "in": "cookie", "name": "tidegate_console"},
            },
        },
    }


def _version() -> str:
    try:
        return metadata.version("tidegate")
    except metadata.PackageNotFoundError:  # run from a tree that is not installed
        return "0"


@cache
def document_text() -> str:
    return json.dumps(document())


def _schemas(endpoints: tuple[Endpoint, ...]) -> tuple[dict[str, Any], dict[type[BaseModel], dict[str, Any]]]:
    """Every model once under its name, and a reference to each. Bodies and answers share no model."""
    bodies = [endpoint.body for endpoint in endpoints if endpoint.body]
    replies = [endpoint.answer for endpoint in endpoints if endpoint.answer]
    wanted = [*((model, "validation") for model in bodies), *((model, "serialization") for model in replies)]
    wanted.append((answers.Problem, "serialization"))
    mapping, definitions = models_json_schema(wanted, ref_template=REF)  # type: ignore[arg-type]
    return definitions["$defs"], {model: schema for (model, _), schema in mapping.items()}


def _operation(endpoint: Endpoint, refs: dict[type[BaseModel], dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "security": _security(endpoint),
        "parameters": _parameters(endpoint),
        "responses": {str(endpoint.status): _answer(endpoint, refs)},
    }
    if endpoint.status != 101:
        operation["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
    if endpoint.access is Access.TOKEN and endpoint.needs:
        operation["description"] = "The token must grant: " + ", ".join(
            need.replace("|", " or ") for need in endpoint.needs
        )
    if endpoint.body is not None:
        operation["requestBody"] = {
            "required": any(field.is_required() for field in endpoint.body.model_fields.values()),
            "content": {"application/json": {"schema": refs[endpoint.body]}},
        }
    elif "request" in endpoint.content_types:
        content = {endpoint.content_types["request"]: {"schema": {"type": "string"}}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def operation_id(endpoint: Endpoint) -> str:
    """get-v2-rooms-roomId"""
    return re.sub(r"[^A-Za-z0-9]+", "-", f"{endpoint.method.lower()}{endpoint.path}").strip("-")


def _security(endpoint: Endpoint) -> list[dict[str, list[str]]]:
    schemes = {Access.TOKEN: [{"token": []}], Access.CONSOLE: [{"console": []}, {}], Access.ANYBODY: []}
    return schemes[endpoint.access]


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    text = {"type": "string"}
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": text} for name in PATH_PARAMETER.findall(endpoint.path)
    ]
    found += [{"name": name, "in": "query", "schema": text} for name in endpoint.parameters]
    if endpoint.query is not None:
        schema = endpoint.query.model_json_schema(by_alias=True)
        required = schema.get("required", [])
        for name, field in schema["properties"].items():
            parameter = {"name": name, "in": "query", "required": name in required, "schema": field}
            if "description" in field:
                parameter["description"] = field.pop("description")
            found.append(parameter)
    if endpoint.method == "POST" and endpoint.access is Access.TOKEN and endpoint.raw is None:
        found.append(IDEMPOTENCY)
    return found


def _answer(endpoint: Endpoint, refs: dict[type[BaseModel], dict[str, Any]]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": endpoint.summary}
    if endpoint.answer is not None:
        answer["content"] = {"application/json": {"schema": refs[endpoint.answer]}}
    if "answer" in endpoint.content_types:
        answer.setdefault("content", {})[endpoint.content_types["answer"]] = {"schema": {"type": "string"}}
    return answer


def _problem(refs: dict[type[BaseModel], dict[str, Any]]) -> dict[str, Any]:
    schema = refs[answers.Problem]
    return {"description": "What is wrong, and where", "content": {"application/problem+json": {"schema": schema}}}
