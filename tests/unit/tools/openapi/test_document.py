"""What the documents say of a small contract."""

from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from openapi_spec_validator import validate

from tools.openapi import document

Json = dict[str, Any]


@pytest.fixture(scope="module")
def public(image: descriptor_pb2.FileDescriptorSet) -> Json:
    return document.public(image)


@pytest.fixture(scope="module")
def internal(image: descriptor_pb2.FileDescriptorSet) -> Json:
    return document.internal(image)


@pytest.fixture(scope="module")
def plant(public: Json) -> Json:
    operation: Json = public["paths"]["/gardens/{garden}/beds"]["post"]
    return operation


def test_both_are_valid(public: Json, internal: Json) -> None:
    validate(public)
    validate(internal)


def test_each_listener_has_what_may_be_called_there(public: Json, internal: Json) -> None:
    called = {
        name: {
            operation["operationId"]
            for path in doc["paths"].values()
            for operation in path.values()
        }
        for name, doc in (("public", public), ("internal", internal))
    }
    assert called == {
        "public": {"PlantBed", "GetSeason", "ListBeds", "WatchBed"},
        "internal": {"ListBeds", "CloseGate"},
    }


def test_the_comment_is_summary_and_description(plant: Json) -> None:
    assert plant["summary"] == "Plant a bed"
    assert plant["description"] == (
        "Plant a bed. Takes a season.\n\n"
        "Requires the capability `server.reboot` (Reboot server).\n\n"
        "A signed-in person needs the role `MEMBER` at least."
    )
    assert plant["x-f2h-capability"] == "server.reboot"
    assert plant["x-f2h-role"] == "MEMBER"


def test_each_operation_names_the_server_it_is_on(public: Json) -> None:
    here = {"url": "/api", "description": "API base on this host"}
    assert public["servers"][0] == here
    for path in public["paths"].values():
        for operation in path.values():
            assert operation["servers"] == [here]


def test_a_service_is_a_tag_that_tells_of_what_rest_does_not_have(public: Json) -> None:
    assert public["tags"] == [
        {
            "name": "Garden",
            "description": "Gardens. A garden has beds.\n\nSecond paragraph.\n\n"
            "Over gRPC only: `Dig`. Dig. Talks back.",
        }
    ]


def test_who_may_call_is_said_by_security_schemes(public: Json, internal: Json) -> None:
    paths = public["paths"]
    beds = paths["/gardens/{garden}/beds"]
    assert beds["post"]["security"] == [{"ApiKey": []}, {"Bearer": []}, {"Session": []}]
    assert paths["/seasons/{id}"]["get"]["security"] == [{"ApiKey": []}, {"Bearer": []}]
    assert beds["get"]["security"] == []
    close = internal["paths"]["/gates/{id}/close"]["post"]
    assert close["security"] == [{"ApiKey": []}, {"ClientCertificate": []}]


def test_what_the_path_names_is_a_parameter_and_the_rest_is_the_body(plant: Json) -> None:
    in_path = [each for each in plant["parameters"] if each.get("in") == "path"]
    assert in_path == [
        {
            "name": "garden",
            "in": "path",
            "required": True,
            "description": "Its garden.",
            "schema": {"type": "string", "minLength": 1},
        }
    ]
    assert plant["requestBody"]["required"] is True
    assert plant["requestBody"]["content"]["application/json"]["example"] == {"plant": "PEA"}


def test_a_body_is_without_what_the_path_names(public: Json) -> None:
    schema = public["components"]["schemas"]["PlantBedRequest"]
    assert {*schema["properties"]} == {"plant", "request_id"}
    assert schema["required"] == ["plant"]


def test_a_request_id_can_be_a_header(public: Json, plant: Json) -> None:
    assert {"$ref": "#/components/parameters/Idempotency-Key"} in plant["parameters"]
    assert public["components"]["parameters"]["Idempotency-Key"]["in"] == "header"


def test_without_a_body_the_rest_is_the_query(public: Json) -> None:
    parameters = public["paths"]["/gardens/{garden}/beds"]["get"]["parameters"]
    query = {each["name"]: each for each in parameters if each["in"] == "query"}
    assert {*query} == {"plants", "start_time", "page_size"}
    assert not any(each["required"] for each in query.values())
    assert query["plants"]["schema"]["items"]["enum"] == ["TOMATO", "PEA", "DODO"]
    assert query["start_time"]["schema"] == {"type": "string", "format": "date-time"}
    assert query["page_size"]["schema"]["maximum"] == 10


def test_a_request_of_path_fields_alone_has_no_body(internal: Json) -> None:
    close = internal["paths"]["/gates/{id}/close"]["post"]
    assert "requestBody" not in close
    assert not {"413", "415"} & close["responses"].keys()


def test_an_operation_says_what_it_ends_with(public: Json, plant: Json) -> None:
    assert plant["x-f2h-long-running"] == {
        "response": "Bed",
        "metadata": "Season",
        "reasons": ["OUTCOME_UNKNOWN"],
    }
    success = plant["responses"]["200"]
    schema = success["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/PlantBedOperation"}
    assert success["links"]["GetSeason"]["operationId"] == "GetSeason"
    schemas = public["components"]["schemas"]
    properties = schemas["PlantBedOperation"]["properties"]
    assert properties["metadata"]["$ref"] == "#/components/schemas/Season"
    assert properties["response"]["$ref"] == "#/components/schemas/Bed"
    assert schemas["Season"]["properties"]["@type"]["const"] == (
        "type.googleapis.com/f2h.garden.v1.Season"
    )


def test_reading_an_operation_has_what_any_of_them_ends_with(public: Json) -> None:
    success = public["paths"]["/seasons/{id}"]["get"]["responses"]["200"]
    assert success["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Operation"
    }
    response = public["components"]["schemas"]["Operation"]["properties"]["response"]
    assert response["oneOf"] == [{"$ref": "#/components/schemas/Bed"}]


def test_a_stream_is_server_sent_events(public: Json) -> None:
    watch = public["paths"]["/beds/{id}/watch"]["get"]
    assert watch["x-f2h-stream"] is True
    schema = watch["responses"]["200"]["content"]["text/event-stream"]["schema"]
    assert schema["type"] == "string"
    assert schema["contentSchema"] == {"$ref": "#/components/schemas/Bed"}


def test_a_failure_has_a_response_by_its_status_with_just_its_reasons(
    public: Json, plant: Json
) -> None:
    name = "409.SERVER_BUSY"
    assert plant["responses"]["409"] == {"$ref": f"#/components/responses/{name}"}
    response = public["components"]["responses"][name]
    assert response["description"].startswith(
        "Conflict. The reason is one of:\n\n- `SERVER_BUSY`: "
    )
    assert response["headers"] == {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    schema = response["content"]["application/json"]["schema"]
    assert schema["$ref"] == "#/components/schemas/Status"
    reason = schema["properties"]["details"]["contains"]["properties"]["reason"]
    assert reason == {"enum": ["SERVER_BUSY"]}


def test_failures_are_told_by_http_status(plant: Json) -> None:
    assert [*plant["responses"]] == [
        *("200", "400", "401", "403", "409", "413", "415", "429", "500", "503", "504")
    ]


def test_what_tells_of_limits_stands_where_a_caller_is_counted(public: Json, plant: Json) -> None:
    assert "x-ratelimit-remaining" in plant["responses"]["200"]["headers"]
    anybodys = public["paths"]["/gardens/{garden}/beds"]["get"]
    assert "headers" not in anybodys["responses"]["200"]
    too_many = public["components"]["responses"]["429.OVERLOADED.RATE_LIMITED"]
    assert {"Retry-After", "x-ratelimit-reset"} <= too_many["headers"].keys()
