"""Runs protoc on our protos, with every import they need taken from installed packages."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import google.api.annotations_pb2
import grpc_tools
from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"

_GOOGLEAPIS = Path(google.api.annotations_pb2.__file__).parents[2]
_WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"


class ProtocError(Exception):
    """protoc refused the protos; the text is protoc's own."""


def protoc(protos: Path, arguments: Sequence[str], *, with_validate: bool = False) -> None:
    """Runs protoc with `arguments` on every .proto below `protos`.

    `with_validate` also generates for buf/validate/validate.proto, which our messages import.
    Raises ProtocError with protoc's message.
    """
    files = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        # googleapis-common-protos ships this file under a name that its own runtime does not use.
        operations = Path(folder) / "google" / "longrunning" / "operations.proto"
        operations.parent.mkdir(parents=True)
        shutil.copy(_GOOGLEAPIS / "google/longrunning/operations_proto.proto", operations)
        validate = Path(folder) / "validate.binpb"
        validate.write_bytes(_validate_descriptors().SerializeToString())
        command = [
            *(sys.executable, "-m", "grpc_tools.protoc"),
            *(f"-I{protos}", f"-I{folder}", f"-I{_WELL_KNOWN}", f"-I{_GOOGLEAPIS}"),
            f"--descriptor_set_in={validate}",
            *arguments,
            *files,
            *(["buf/validate/validate.proto"] if with_validate else []),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProtocError(done.stderr.strip())


def image(protos: Path, target: Path) -> descriptor_pb2.FileDescriptorSet:
    """Writes the descriptor set of `protos`, with imports and comments, and returns it."""
    protoc(protos, [f"--descriptor_set_out={target}", "--include_imports", "--include_source_info"])
    return descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())


def _validate_descriptors() -> descriptor_pb2.FileDescriptorSet:
    """buf/validate/validate.proto and what it imports, from the installed protovalidate."""
    files = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, timestamp_pb2, field_mask_pb2):
        module.DESCRIPTOR.CopyToProto(files.file.add())
    files.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    return files


def program(name: str) -> Path:
    """A program that is installed beside this Python."""
    return Path(sys.executable).parent / name


def plugin(name: str) -> str:
    """The `--plugin` argument for an installed protoc plugin."""
    return f"--plugin={name}={program(name)}"
