"""One RPC as an operation of the REST API."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from f2h.access.v1 import reason_pb2
from f2h.access.v1.reason_pb2 import Reason
from google.api import annotations_pb2, http_pb2
from google.longrunning import operations_pb2
from google.protobuf import descriptor

from services.runtime import reasons
from services.runtime.access import rule_of
from tools.contract import Rpc
from tools.openapi import access, errors, examples
from tools.openapi.schema import OPERATION, Schemas, Usage, required_fields, short
from tools.openapi.source import Json, Source, first_sentence

BASE = "/api"
SERVERS = [{"url": BASE, "description": "API base on this host"}]

REQUEST_ID = "request_id"
"""The request field that the header Idempotency-Key stands for."""

_PARAMETER = re.compile(r"{(\w+)}")


@dataclass(frozen=True)
class Form:
    """How an RPC is called over REST: google.api.http."""

    verb: str
    path: str
    """Below the API base, with its parameters in braces."""
    in_path: tuple[str, ...]
    """The request fields that the path names."""
    has_body: bool
    """Whether the body holds the other fields, by the rule `body: "*"`; else the query does."""


def form(method: descriptor.MethodDescriptor) -> Form:
    """The REST form of an RPC. Raises NotImplementedError for one of a kind that is not used."""
    http: http_pb2.HttpRule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = str(http.WhichOneof("pattern"))
    path: str = getattr(http, verb)
    if http.body not in {"", "*"} or not path.startswith(f"{BASE}/"):
        raise NotImplementedError(f"{method.full_name}: a REST form of this kind is not used here")
    names = tuple(_PARAMETER.findall(path))
    return Form(verb, path.removeprefix(BASE), names, has_body=http.body == "*")


@dataclass
class Operations:
    """Makes operations."""

    source: Source
    listener: access.Listener
    schemas: Schemas
    failures: errors.Failures
    readers: Mapping[str, str]
    """The operation that reads what a long-running one of a package is doing, by package."""

    def of(self, rpc: Rpc) -> Json:
        """The operation of an RPC that has a REST form."""
        method = self.source.method(rpc.path)
        rule = rule_of(method)
        called = form(method)
        comment = self.source.comment(method.full_name)
        demands, extensions = access.demands(self.listener, rule)
        operation: Json = {
            "operationId": method.name,
            "summary": first_sentence(comment),
            "description": "\n\n".join([comment, *demands]),
            "tags": [tag(method.containing_service)],
            "servers": SERVERS,
            "security": access.security(self.listener, rule),
            **extensions,
        }
        if parameters := [*self._parameters(method, called)]:
            operation["parameters"] = parameters
        if called.has_body and (body := self._body(method.input_type, called)):
            operation["requestBody"] = body
        operation["responses"] = {
            "200": self._success(method, rpc, public=not operation["security"]),
            **self.failures.of(self._reasons(method, with_body="requestBody" in operation)),
        }
        return operation | self._long_running(method, rpc) | _stream(method)

    def _parameters(self, method: descriptor.MethodDescriptor, called: Form) -> Iterator[Json]:
        request = method.input_type
        required = required_fields(self.source, request)
        for name in called.in_path:
            yield self._parameter(request.fields_by_name[name], "path", required=True)
        if called.has_body:
            if REQUEST_ID in request.fields_by_name:
                yield {"$ref": "#/components/parameters/Idempotency-Key"}
            return
        for field in request.fields:
            if field.name not in called.in_path:
                yield self._parameter(field, "query", required=field.name in required)

    def _parameter(self, field: descriptor.FieldDescriptor, where: str, *, required: bool) -> Json:
        schema = self.schemas.field(field, Usage.REQUEST)
        if field.message_type is not None and schema.get("type") != "string":
            raise NotImplementedError(f"{field.full_name}: a message in a query")
        parameter: Json = {
            "name": field.name,
            "in": where,
            "required": required,
            "description": schema.pop("description"),
            "schema": schema,
        }
        if schema.pop("deprecated", False):
            parameter["deprecated"] = True
        return parameter

    def _body(self, request: descriptor.Descriptor, called: Form) -> Json | None:
        if not {field.name for field in request.fields} - {*called.in_path}:
            return None
        name = short(request)
        schema = self.schemas.message(request, Usage.REQUEST, without=called.in_path)
        self.schemas.definitions[name] = schema
        content: Json = {"schema": {"$ref": f"{self.schemas.prefix}{name}"}}
        if example := examples.of_message(self.source, request, without=called.in_path):
            content["example"] = example
        return {
            "description": self.source.comment(request.full_name),
            "required": bool(schema.get("required")),
            "content": {"application/json": content},
        }

    def _success(self, method: descriptor.MethodDescriptor, rpc: Rpc, *, public: bool) -> Json:
        answer = method.output_type
        if answer.full_name == OPERATION:
            begun_by = rpc.path if rpc.path in self.schemas.results else ""
            schema, described = self.schemas.operation(begun_by), "The operation."
        else:
            schema = self.schemas.reference(answer, Usage.RESPONSE)
            described = self.source.comment(answer.full_name)
        if answer.file.package == "google.protobuf":
            described = "It is done."
        content: Json = {"application/json": {"schema": schema}}
        if method.server_streaming:
            content = {"text/event-stream": {"schema": _events(schema)}}
        response: Json = {"description": described, "content": content}
        if not public:
            response["headers"] = errors.rate_limit_headers()
        if rpc.path in self.schemas.results:
            reader = self.readers[_package(method)]
            response["links"] = {reader: _link(reader)}
        return response

    def _reasons(
        self, method: descriptor.MethodDescriptor, *, with_body: bool
    ) -> "frozenset[Reason.ValueType]":
        of_body = {Reason.REQUEST_TOO_LARGE, Reason.UNSUPPORTED_MEDIA_TYPE}
        options = method.GetOptions()
        found = reasons.derived(options) | reasons.declared(options)
        return found if with_body else found - of_body

    def _long_running(self, method: descriptor.MethodDescriptor, rpc: Rpc) -> Json:
        if rpc.path not in self.schemas.results:
            return {}
        declared = method.GetOptions().Extensions[reason_pb2.fails_with].operation
        return {
            "x-f2h-long-running": {
                "response": short(self.source.message(self.schemas.results[rpc.path])),
                "metadata": short(self.source.message(self.schemas.metadata)),
                "reasons": [Reason.Name(each) for each in declared],
            }
        }


def tag(service: descriptor.ServiceDescriptor) -> str:
    """The tag of a service's operations: "Reboot" for RebootService."""
    return str(service.name).removesuffix("Service")


def results(source: Source, rpcs: list[Rpc]) -> tuple[dict[str, str], str]:
    """What operations end with, by RPC, and the message that tells how far they are."""
    found, metadata = {}, ""
    for rpc in rpcs:
        method = source.method(rpc.path)
        said = method.GetOptions().Extensions[operations_pb2.operation_info]
        if said.response_type:
            found[rpc.path] = _qualified(said.response_type, _package(method))
            metadata = _qualified(said.metadata_type, _package(method))
    return found, metadata


def _qualified(name: str, package: str) -> str:
    return name if "." in name else f"{package}.{name}"


def _package(method: descriptor.MethodDescriptor) -> str:
    return str(method.containing_service.file.package)


def _link(reader: str) -> Json:
    """How the operation of an answer is read. What a link can pass on is a whole value."""
    return {
        "operationId": reader,
        "description": "`id` is what follows the last `/` in the `name` of this answer.",
    }


def _stream(method: descriptor.MethodDescriptor) -> Json:
    return {"x-f2h-stream": True} if method.server_streaming else {}


def _events(schema: Json) -> Json:
    """A stream of server-sent events. OpenAPI 3.1 has no word for the events themselves."""
    return {
        "type": "string",
        "description": "Server-sent events, live. The `data` of each is a message as JSON, by the "
        "schema of `contentSchema`. A stream that fails on its way ends: why is told to the next "
        "call.",
        "contentMediaType": "application/json",
        "contentSchema": schema,
    }
