"""Protobuf's own language, as a schema registry keeps it, made into descriptors."""

from __future__ import annotations

import base64
import binascii
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.message import DecodeError

from pipeline.orders.formats.protobuf_values import DescriptorError, MessageTypes
from pipeline.schema_source import ReferencedSchema, RegisteredSchema

MAIN = "orderpulse_main.proto"
COMPILE_S = 20
"""So long the compiler may take; a schema takes a twentieth of a second."""


def types_of(schema: RegisteredSchema) -> MessageTypes:
    """The message types of a registered schema. Raises DescriptorError."""
    serialized = _serialized(schema.text)
    if serialized is not None:
        return _put_together(serialized, schema.referenced)
    return MessageTypes(_compiled(schema), MAIN)


def _serialized(text: str) -> descriptor_pb2.FileDescriptorProto | None:
    """The descriptor in a text, where it is base64 of one: that is what confluent-kafka's serializer registers."""
    file = descriptor_pb2.FileDescriptorProto()
    try:
        file.ParseFromString(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, DecodeError):
        return None
    return file


def _put_together(main: descriptor_pb2.FileDescriptorProto, referenced: Sequence[ReferencedSchema]) -> MessageTypes:
    files = [each for name in main.dependency if (each := _well_known(name)) is not None]
    for reference in referenced:
        file = _serialized(reference.text)
        if file is None:
            raise DescriptorError(f"it is a descriptor that refers to {reference.name}, which is none")
        file.name = reference.name
        files += [each for name in file.dependency if (each := _well_known(name)) is not None]
        files.append(file)
    by_name = {each.name: each for each in files}
    return MessageTypes([*by_name.values(), main], main.name)


def _well_known(name: str) -> descriptor_pb2.FileDescriptorProto | None:
    if not name.startswith("google/protobuf/"):
        return None
    module = name.removesuffix(".proto").replace("/", ".") + "_pb2"
    if importlib.util.find_spec(module) is None:
        return None
    file = descriptor_pb2.FileDescriptorProto()
    importlib.import_module(module).DESCRIPTOR.CopyToProto(file)
    return file


def _compiled(schema: RegisteredSchema) -> list[descriptor_pb2.FileDescriptorProto]:
    """The descriptors of a schema's text and of all that it imports, by protoc in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="orderpulse-proto-") as folder:
        root = Path(folder)
        for each in (*schema.referenced, ReferencedSchema(MAIN, schema.text)):
            file = (root / each.name).resolve()
            if root.resolve() not in file.parents:
                raise DescriptorError(f"it imports {each.name}")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(each.text, encoding="utf-8")
        out = root / "descriptors"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{root}", "--include_imports"]
        try:
            done = subprocess.run(
                [*command, f"--descriptor_set_out={out}", MAIN],
                cwd=root,
                capture_output=True,
                timeout=COMPILE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DescriptorError(f"compiling it takes more than {COMPILE_S} s") from error
        if done.returncode != 0:
            raise DescriptorError(f"protoc refuses it: {_first_fault(done.stderr)}")
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    return list(files.file)


def _first_fault(output: bytes) -> str:
    """Protoc's first line, without the schema's text: it says line, column and what is wrong."""
    lines = output.decode("utf-8", "replace").splitlines()
    return next((line.removeprefix(f"{MAIN}:") for line in lines if MAIN in line or "error" in line), "no reason given")
