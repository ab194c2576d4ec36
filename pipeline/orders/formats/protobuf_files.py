"""Protobuf's own language, as a schema registry keeps it, made into descriptors."""

from __future__ import annotations

import base64
import binascii
import importlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from google.protobuf import descriptor_pb2
from google.protobuf.message import DecodeError

from pipeline.orders.formats.protobuf_values import DescriptorError, MessageTypes
from pipeline.schema_source import ReferencedSchema, RegisteredSchema

File: TypeAlias = descriptor_pb2.FileDescriptorProto

MAIN = "orderpulse_main.proto"
COMPILE_S = 20
"""So long the compiler may take; a schema takes a twentieth of a second."""


_GOOGLE_FILE = re.compile(r"google/(?P<folder>protobuf|type)/(?P<file>[a-z][a-z0-9_]*)\.proto")
# The library's own log, and a warning, say nothing of why.
_FAULT = re.compile(r"\S+:\d+:\d+: (?!warning:)|\S+\.proto: (?!warning:)")
_IMPORT = re.compile(r"""\bimport\s+(?:public\s+|weak\s+)?["']([^"']+)["']""")


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


def _put_together(main: File, referenced: Sequence[ReferencedSchema]) -> MessageTypes:
    # Whatever its writer calls it, which may be nothing: no other file imports it.
    main.name = MAIN
    told = {each.name: _referenced(each) for each in referenced}
    files: dict[str, File] = {}
    for file in (*told.values(), main):
        _add_built_in(files, [name for name in file.dependency if name not in told])
        files[file.name] = file
    return MessageTypes(list(files.values()), MAIN)


def _referenced(reference: ReferencedSchema) -> File:
    file = _serialized(reference.text)
    if file is None:
        raise DescriptorError(f"it is a descriptor that refers to {reference.name}, which is none")
    file.name = reference.name
    return file


# ---- what no registry is told of


def _add_built_in(files: dict[str, File], names: Iterable[str | bytes]) -> None:
    """Adds those of the named files that every reader is to have itself, each behind those that it imports."""
    for name in names:
        # The library gives a name as bytes where it is no UTF-8.
        if isinstance(name, str) and name not in files and (file := _built_in(name)) is not None:
            _add_built_in(files, file.dependency)
            files[name] = file


@lru_cache(maxsize=256)
def _built_in(name: str) -> File | None:
    serialized = _of_confluent(name) if name.startswith("confluent/") else _of_google(name)
    return None if serialized is None else descriptor_pb2.FileDescriptorProto.FromString(serialized)


def _of_confluent(name: str) -> bytes | None:
    # Only where one is asked for: the registry's client takes its time to be imported.
    from pipeline.kafka.registries.built_in import confluent_files

    return confluent_files().get(name)


def _of_google(name: str) -> bytes | None:
    """The descriptor in the module that protoc has made of a file, which the library and googleapis-common-protos have.

    A schema may import any name: only what can be one of theirs is looked for.
    """
    match = _GOOGLE_FILE.fullmatch(name)
    if match is None:
        return None
    try:
        module = importlib.import_module(f"google.{match['folder']}.{match['file']}_pb2")
    except ModuleNotFoundError:
        return None
    serialized: bytes = module.DESCRIPTOR.serialized_pb
    return serialized


# ---- texts


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
        out, built_in = root / "descriptors", root / "built_in"
        built_in.write_bytes(_imported_of_built_in(schema))
        # From its folder on, so that no fault names a folder that another process has under another name.
        command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--include_imports"]
        command.append(f"--descriptor_set_in={built_in}")
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


def _imported_of_built_in(schema: RegisteredSchema) -> bytes:
    """A descriptor set of the built-in files that the texts import."""
    texts = [schema.text, *(each.text for each in schema.referenced)]
    told = {each.name for each in schema.referenced}
    files: dict[str, File] = {}
    _add_built_in(files, [name for text in texts for name in _IMPORT.findall(text) if name not in told])
    return bytes(descriptor_pb2.FileDescriptorSet(file=files.values()).SerializeToString())


def _first_fault(output: bytes) -> str:
    """Protoc's first fault, without the schema's text: it says line, column and what is wrong."""
    lines = output.decode("utf-8", "replace").splitlines()
    return next((line.removeprefix(f"{MAIN}:") for line in lines if _FAULT.match(line)), "no reason given")
