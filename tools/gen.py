"""Generates everything that the protos say, into gen/ (never committed): `python -m tools.gen`.

- Python stubs and their types: gen/f2h, gen/buf
- gen/descriptor.binpb: what Envoy transcodes with, buf checks, and the tests sweep
- gen/capabilities.json: the capability catalogue
- gen/edge/*.lua: which verbs a path of the edge answers, for each listener; what an RPC needs
- gen/openapi.json, gen/openapi-noc.json: the REST API of customers, and of the NOC
- gen/f2h/mcp.json: the tools of AI agents

Stops with an error when the contract has a fault, see tools.contract.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2, json_format

from tools import protoc

GEN = protoc.ROOT / "gen"


def main() -> int:
    """Generates into a new folder and swaps it in whole, so that a failure leaves the old one."""
    with tempfile.TemporaryDirectory(dir=protoc.ROOT, prefix=".gen-") as folder:
        fresh = Path(folder) / "gen"
        fresh.mkdir()
        try:
            protoc.image(protoc.PROTOS, fresh / "descriptor.binpb")
            _stubs(fresh)
        except protoc.ProtocError as error:
            print(error, file=sys.stderr)
            return 1
        # The access options can be read only with the stubs that were just generated.
        sys.path.insert(0, str(fresh))
        from tools import capabilities, contract, mcp, rest_paths  # noqa: PLC0415
        from tools.openapi import document  # noqa: PLC0415

        image = read(fresh / "descriptor.binpb")
        faults = contract.faults(image)
        for fault in faults:
            print(f"contract: {fault}", file=sys.stderr)
        if faults:
            return 1
        _catalogue(fresh)
        (fresh / "edge").mkdir()
        for listener in contract.LISTENERS:
            text = rest_paths.lua(contract.rpcs(image), listener)
            (fresh / "edge" / f"{listener}.lua").write_text(text)
        text = capabilities.lua(contract.rpcs(image))
        (fresh / "edge" / "mend_errors.lua").write_text(text)
        for name in document.DOCUMENTS:
            (fresh / name).write_text(document.written(name, image))
        (fresh / "f2h" / "mcp.json").write_text(mcp.written(image))
        shutil.rmtree(GEN, ignore_errors=True)
        os.replace(fresh, GEN)
    return 0


def _stubs(out: Path) -> None:
    protoc.protoc(
        protoc.PROTOS,
        [
            *(f"--python_out={out}", f"--grpc_python_out={out}"),
            *(protoc.plugin("protoc-gen-mypy"), f"--mypy_out=quiet:{out}"),
            *(protoc.plugin("protoc-gen-mypy_grpc"), f"--mypy_grpc_out=quiet:{out}"),
        ],
        with_validate=True,
    )
    for stub in out.rglob("*_pb2_grpc.py"):
        if "Servicer" not in stub.read_text():  # a file without a service gets an empty module
            stub.unlink()
            stub.with_suffix(".pyi").unlink()


def _catalogue(out: Path) -> None:
    from f2h.access.v1 import capability_pb2  # noqa: PLC0415

    entries = [
        json_format.MessageToDict(
            value.GetOptions().Extensions[capability_pb2.capability],
            preserving_proto_field_name=True,
        )
        for value in capability_pb2.Capability.DESCRIPTOR.values
        if value.number != 0
    ]
    (out / "capabilities.json").write_text(json.dumps(entries, indent=2) + "\n")


def read(path: Path = GEN / "descriptor.binpb") -> descriptor_pb2.FileDescriptorSet:
    """A generated descriptor set; our options are in it only if their stubs were imported."""
    return descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
