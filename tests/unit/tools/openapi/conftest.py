"""A small contract of the tests' own."""

import shutil
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from tools import gen, protoc
from tools.openapi.source import Source

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> descriptor_pb2.FileDescriptorSet:
    folder = tmp_path_factory.mktemp("protos")
    shutil.copytree(protoc.PROTOS / "f2h" / "access", folder / "f2h" / "access")
    shutil.copy(HERE / "garden.proto", folder)
    protoc.image(folder, folder / "image.binpb")
    return gen.read(folder / "image.binpb")


@pytest.fixture(scope="session")
def source(image: descriptor_pb2.FileDescriptorSet) -> Source:
    return Source(image)
