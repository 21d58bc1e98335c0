"""Peer (b): the empty stack. The same Envoy before a trivial ext_authz and a trivial handler.

`python -m bench.peers.empty auth|server_ops HOST:PORT CERTIFICATES`: what remains is what no
implementation in this shape can save. The last one is the folder of what it shows the edge.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc.aio
from f2h.edge.v1 import authorization_pb2, authorization_pb2_grpc
from f2h.server_ops.v1 import server_pb2, server_pb2_grpc
from google.rpc import status_pb2

from services.runtime.mutual_tls import server_credentials


class Authorization(authorization_pb2_grpc.AuthorizationServicer):
    async def Check(
        self, _request: authorization_pb2.CheckRequest, _context: Any
    ) -> authorization_pb2.CheckResponse:
        return authorization_pb2.CheckResponse(
            status=status_pb2.Status(), ok_response=authorization_pb2.OkHttpResponse()
        )


class Servers(server_pb2_grpc.ServerServiceServicer):
    async def GetServer(
        self, request: server_pb2.GetServerRequest, _context: Any
    ) -> server_pb2.Server:
        return server_pb2.Server(
            hostname=request.hostname,
            ips=["149.202.215.3"],
            datacenter="EU-WEST-F2H",
            mac="0c:c4:7a:00:00:01",
        )


async def serve(role: str, listen: str, tls: Path) -> None:
    server = grpc.aio.server()
    if role == "auth":
        authorization_pb2_grpc.add_AuthorizationServicer_to_server(Authorization(), server)
    else:
        server_pb2_grpc.add_ServerServiceServicer_to_server(Servers(), server)
    server.add_secure_port(listen, server_credentials(tls))
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
