"""f2h.auth.v1.McpService."""

from typing import Any

from f2h.auth.v1 import mcp_pb2, mcp_pb2_grpc
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from services.auth.agents.tools import Tools
from services.runtime.call import current_caller


class McpServicer(mcp_pb2_grpc.McpServiceServicer):
    """Lists tools."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        # Once: a call only picks.
        self._packed = {
            each.name: json_format.ParseDict(each.definition, Struct()) for each in tools
        }

    async def ListTools(
        self, _request: mcp_pb2.ListToolsRequest, _context: Any
    ) -> mcp_pb2.ListToolsResponse:
        """The tools that the caller's key may call, or its token."""
        policy = current_caller().policy
        capabilities = policy.capabilities if policy else frozenset()
        allowed = self._tools.of(capabilities)
        return mcp_pb2.ListToolsResponse(tools=[self._packed[each.name] for each in allowed])
