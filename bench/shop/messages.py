"""The class of the shop's Protobuf message, made of order.proto by protoc as grpcio-tools has it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import grpc_tools
from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc

FOLDER = Path(__file__).parent
FILE = "order.proto"
# The file's own import is in the pool by being imported.
assert timestamp_pb2


def event_class() -> Any:
    """The class of `shop.Event`."""
    include = Path(grpc_tools.__file__).with_name("_proto")
    with tempfile.NamedTemporaryFile(suffix=".desc") as target:
        told = ["protoc", f"-I{FOLDER}", f"-I{include}", f"--descriptor_set_out={target.name}", FILE]
        if protoc.main(told) != 0:
            raise SystemExit("protoc failed")
        [file] = FileDescriptorSet.FromString(Path(target.name).read_bytes()).file
    pool = Default()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("shop.Event"))
