"""Reboots a server, waits for the operation's end and prints it, all by what the document says."""

import json
import os

from f2h_client import AuthenticatedClient  # type: ignore[import-not-found]  # made by the test
from f2h_client.api.operation import wait_operation  # type: ignore[import-not-found]
from f2h_client.api.reboot import reboot_server  # type: ignore[import-not-found]
from f2h_client.models import (  # type: ignore[import-not-found]
    ErrorInfo,
    Operation,
    RebootServerOperation,
    RebootServerRequest,
    RebootServerRequestMode,
    RebootServerResponse,
    Status,
)

hostname = os.environ["F2H_HOSTNAME"]
with AuthenticatedClient(
    base_url=os.environ["F2H_URL"] + "/api",
    token=os.environ["F2H_API_KEY"],
    auth_header_name="X-API-Key",
    prefix="",
    timeout=20,
) as client:
    refused = reboot_server.sync("ns1.nobodys.example.net", client=client)
    assert isinstance(refused, Status), refused
    infos = [detail for detail in refused.details if isinstance(detail, ErrorInfo)]

    begun = reboot_server.sync(
        hostname,
        client=client,
        body=RebootServerRequest(mode=RebootServerRequestMode.HARD),
        idempotency_key="python-1",
    )
    assert isinstance(begun, RebootServerOperation), begun

    operation = None
    while operation is None or not operation.done:
        operation = wait_operation.sync(begun.name.removeprefix("operations/"), client=client)
        assert isinstance(operation, Operation), operation
    assert isinstance(operation.response, RebootServerResponse), operation

told = {
    "refused": infos[0].reason,
    "state": operation.metadata.state,
    "proof": operation.response.proof,
}
print(json.dumps(told))
