"""A whole OpenAPI document: what one listener of the edge answers."""

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping

from google.protobuf import descriptor_pb2

from services.runtime.access import rule_of
from tools import protoc
from tools.contract import Rpc, rpcs
from tools.openapi import access, errors
from tools.openapi.operation import BASE, REQUEST_ID, Operations, form, results, tag
from tools.openapi.schema import OPERATION, Schemas
from tools.openapi.source import Json, Source

_HEADERS: Json = {
    "Retry-After": {
        "description": "When to ask again, in seconds (RFC 9110, section 10.2.3).",
        "schema": {"type": "integer", "minimum": 1},
    },
    "x-ratelimit-limit": {
        "description": "How many calls the caller may make at once.",
        "schema": {"type": "string"},
    },
    "x-ratelimit-remaining": {
        "description": "How many calls are left.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "x-ratelimit-reset": {
        "description": "In how many seconds there are more.",
        "schema": {"type": "integer", "minimum": 0},
    },
}

_IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": f"The same as the field `{REQUEST_ID}`: makes a retry safe, since what is sent "
    "again with the same key is done once. A new one for each new wish, for instance a UUID.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
}

_ABOUT = """\
The control API for dedicated servers. Every call is one RPC of a gRPC API, in JSON. Fields of a \
body that nobody knows are dropped; query parameters that nobody knows are refused. The values of \
enums in a query may be written in lower case.

Errors are a google.rpc.Status. Each has a detail google.rpc.ErrorInfo with the domain `f2hcloud`: \
a program decides by its `reason`, never by the message. Headers of more than 8 KiB are refused \
with 431."""


def public(image: descriptor_pb2.FileDescriptorSet) -> Json:
    """The API of customers and signed-in people."""
    return _document(image, access.PUBLIC, "F2HCloud API", _ABOUT)


def internal(image: descriptor_pb2.FileDescriptorSet) -> Json:
    """The API of the NOC, on the internal listener."""
    return _document(image, access.INTERNAL, "F2HCloud API, internal listener", _ABOUT)


DOCUMENTS: Mapping[str, Callable[[descriptor_pb2.FileDescriptorSet], Json]] = {
    "openapi.json": public,
    "openapi-noc.json": internal,
}
"""Every document, by the name of its file."""


def written(name: str, image: descriptor_pb2.FileDescriptorSet) -> str:
    """The document with this name, as its file has it."""
    return json.dumps(DOCUMENTS[name](image), indent=2, ensure_ascii=False) + "\n"


def _document(
    image: descriptor_pb2.FileDescriptorSet, listener: access.Listener, title: str, about: str
) -> Json:
    source = Source(image)
    here = [each for each in rpcs(image) if listener.audiences(rule_of(source.method(each.path)))]
    called = [each for each in here if each.http]
    ends, metadata = results(source, called)
    schemas = Schemas(source, "#/components/schemas/", ends, metadata)
    failures = errors.Failures(source, schemas.status())
    operations = Operations(source, listener, schemas, failures, readers(source, called))
    paths: Json = {}
    for rpc in called:
        method = source.method(rpc.path)
        at = form(method)
        paths.setdefault(at.path, {})[at.verb] = operations.of(rpc)
    return {
        "openapi": "3.1.0",
        "info": _info(title, about),
        "servers": _servers(),
        "tags": [*_tags(source, here)],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": dict(listener.definitions),
            **_parameters(paths),
            "headers": _HEADERS,
            "responses": dict(sorted(failures.responses.items())),
            "schemas": dict(sorted(schemas.definitions.items())),
        },
    }


def _info(title: str, about: str) -> Json:
    project = tomllib.loads((protoc.ROOT / "pyproject.toml").read_text())["project"]
    return {
        "title": title,
        "version": project["version"],
        "summary": project["description"],
        "description": about,
        "license": {"name": project["license"], "identifier": project["license"]},
    }


def _servers() -> list[Json]:
    return [
        {"url": BASE, "description": "API base on this host"},
        {
            "url": f"https://{{host}}{BASE}",
            "description": "API base on another host: a key works on each of them",
            "variables": {"host": {"default": "f2hcloud.invalid", "description": "Its name"}},
        },
    ]


def _tags(source: Source, here: Iterable[Rpc]) -> Iterator[Json]:
    services = {
        method.containing_service.full_name: method.containing_service
        for method in (source.method(each.path) for each in here)
    }
    for name, service in services.items():
        texts = [source.comment(name)]
        texts += [
            f"Over gRPC only: `{each.method.name}`. {source.comment(f'{name}.{each.method.name}')}"
            for each in here
            if each.service == name and not each.http
        ]
        yield {"name": tag(service), "description": "\n\n".join(texts)}


def readers(source: Source, called: Iterable[Rpc]) -> dict[str, str]:
    """The RPC that reads an operation by its id, by the package that begins it."""
    found = {}
    for rpc in called:
        method = source.method(rpc.path)
        reads = method.name.startswith("Get") and method.output_type.full_name == OPERATION
        if reads:
            found[method.containing_service.file.package] = str(method.name)
    return found


def _parameters(paths: Json) -> Json:
    used = any(
        {"$ref": "#/components/parameters/Idempotency-Key"} in operation.get("parameters", ())
        for path in paths.values()
        for operation in path.values()
    )
    return {"parameters": {"Idempotency-Key": _IDEMPOTENCY_KEY}} if used else {}
