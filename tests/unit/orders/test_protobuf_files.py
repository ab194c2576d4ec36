"""A registry's Protobuf schemas become message types, with what they import; what cannot be used says why."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, message_factory

from pipeline.errors import MappingFileError
from pipeline.orders.formats.protobuf_files import MAIN, types_of
from pipeline.orders.formats.protobuf_values import DescriptorError, MessageTypes
from pipeline.schema_source import ReferencedSchema, RegisteredSchema, SchemaId
from tests.support.buffer_rows import NOW_MS
from tests.support.mapped import mapped, read_one, reader_of, record_of, section

FIELD = descriptor_pb2.FieldDescriptorProto


def message_file(name: str, package: str, message: str, *imports: str, **fields: str) -> Any:
    """A file of one message; its fields are texts, or of the types that are named."""
    file = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3", dependency=imports)
    found = file.message_type.add(name=message)
    for number, (field, kind) in enumerate(fields.items(), start=1):
        at = {"type": FIELD.TYPE_MESSAGE, "type_name": f".{kind}"} if kind else {"type": FIELD.TYPE_STRING}
        found.field.add(name=field, number=number, label=FIELD.LABEL_OPTIONAL, **at)
    return file


def serialized(file: Any) -> str:
    """As confluent-kafka's serializer registers a file."""
    return base64.b64encode(file.SerializeToString()).decode()


def registered(text: str, *referenced: tuple[str, str]) -> RegisteredSchema:
    return RegisteredSchema("PROTOBUF", text, tuple(ReferencedSchema(*each) for each in referenced))


def refusal(schema: RegisteredSchema) -> str:
    with pytest.raises(DescriptorError) as caught:
        types_of(schema)
    assert "\n" not in str(caught.value)
    return str(caught.value)


KNOWN = {
    "google/protobuf/timestamp.proto": "google.protobuf.Timestamp",
    "google/type/money.proto": "google.type.Money",
    # It imports another one itself.
    "google/type/datetime.proto": "google.type.DateTime",
    "confluent/type/decimal.proto": "confluent.type.Decimal",
    # Where it was before; it hands on the one above.
    "confluent/types/decimal.proto": "confluent.type.Decimal",
}


def text_of(file: str, kind: str) -> str:
    return f'syntax = "proto3"; package shop; import "{file}"; message Order {{ string id = 1; {kind} it = 2; }}'


@pytest.mark.parametrize(("file", "kind"), KNOWN.items())
@pytest.mark.parametrize("form", ["a descriptor", "text"])
def test_what_clients_have_built_in_need_not_be_in_the_registry(form: str, file: str, kind: str) -> None:
    text = (
        text_of(file, kind) if form == "text" else serialized(message_file("o", "shop", "Order", file, id="", it=kind))
    )
    order = types_of(registered(text)).named("shop.Order")
    assert order.fields_by_name["it"].message_type.full_name == kind


@pytest.mark.parametrize("form", ["a descriptor", "text"])
def test_the_options_of_confluent_s_rules_are_understood(form: str) -> None:
    text = (
        'syntax = "proto3"; package shop; import "confluent/meta.proto";'
        'message Order { string id = 1 [(confluent.field_meta).doc = "the number"]; }'
    )
    if form == "a descriptor":
        text = serialized(message_file("o", "shop", "Order", "confluent/meta.proto", id=""))
    assert types_of(registered(text)).at([0]).full_name == "shop.Order"


def test_what_a_registry_says_of_a_file_goes_before_what_is_built_in() -> None:
    own = message_file("google/type/money.proto", "google.type", "Money", amount="")
    order = message_file("o", "shop", "Order", "google/type/money.proto", it="google.type.Money")
    types = types_of(registered(serialized(order), ("google/type/money.proto", serialized(own))))
    assert [each.name for each in types.named("google.type.Money").fields] == ["amount"]


@pytest.mark.parametrize(
    ("total", "found"),
    [({"currency_code": "EUR", "units": 12, "nanos": 340_000_000}, 1234), ({"units": 12}, 1200), ({}, 0)],
)
def test_money_that_a_schema_imports_is_an_amount(total: dict[str, Any], found: int) -> None:
    text = text_of("google/type/money.proto", "google.type.Money")
    schema = registered(text)
    order = message_factory.GetMessageClass(types_of(schema).named("shop.Order"))(id="A-1")
    order.it.SetInParent()
    for name, value in total.items():
        setattr(order.it, name, value)
    reader = reader_of(section(price='"it"', currency='"EUR"'), {SchemaId(7): schema})
    made = read_one(reader, record_of(b"\0\0\0\0\7\0" + order.SerializeToString()))
    assert made.price_cents == found  # type: ignore[union-attr]


# ---- what cannot be used


@pytest.mark.parametrize(
    "name",
    [
        "shop/line.proto",
        "google/protobuf/nothing.proto",
        "google/protobuf/compiler/plugin/x.proto",
        "google/protobuf/../../os.proto",
        "google/protobuf/.proto",
        "google/type/tea.proto",
        "google/rpc/status.proto",
        "confluent/tea.proto",
    ],
)
def test_a_file_that_is_imported_and_nowhere_is_named(name: str) -> None:
    file = message_file("o", "shop", "Order", name, id="")
    assert refusal(registered(serialized(file))).startswith("its files cannot be put together: ")
    text = f'syntax = "proto3"; import "{name}"; message Order {{ string id = 1; }}'
    assert refusal(registered(text)).startswith("protoc refuses it: ")


def test_a_descriptor_that_refers_to_a_text_says_so() -> None:
    order = message_file("o", "shop", "Order", "line.proto", id="")
    schema = registered(serialized(order), ("line.proto", 'syntax = "proto3"; message Line {}'))
    assert refusal(schema) == "it is a descriptor that refers to line.proto, which is none"


def test_a_type_that_none_of_the_files_has_is_named() -> None:
    order = message_file("o", "shop", "Order", line="shop.Line")
    assert "shop.Line" in refusal(registered(serialized(order)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("message Order {", "protoc refuses it: 1:16: "),
        ('syntax = "proto3"; message Order { Line line = 1; }', 'protoc refuses it: 1:36: "Line" is not defined.'),
        ("AAAA", "protoc refuses it: 1:1: "),
        ('syntax = "proto3"; message Order { string a = 1; string b = 1; }', "protoc refuses it: 1:"),
    ],
)
def test_a_text_that_is_no_schema_says_where(text: str, reason: str) -> None:
    assert refusal(registered(text)).startswith(reason)


@pytest.mark.parametrize("name", ["../line.proto", "/etc/line.proto", "a/../../line.proto", "."])
def test_a_reference_is_not_written_outside_of_its_folder(name: str) -> None:
    text = 'syntax = "proto3"; message Order { string id = 1; }'
    assert refusal(registered(text, (name, 'syntax = "proto3";'))) == f"it imports {name}"


def test_references_of_a_text_are_found_by_their_names() -> None:
    line = 'syntax = "proto3"; package shop; message Line { string sku = 1; }'
    text = 'syntax = "proto3"; package shop; import "shop/line.proto"; message Order { Line line = 1; }'
    types = types_of(registered(text, ("shop/line.proto", line)))
    assert types.at([0]).fields_by_name["line"].message_type.full_name == "shop.Line"


def test_messages_are_counted_in_the_schema_s_own_file() -> None:
    types: MessageTypes = types_of(registered('syntax = "proto3"; message A {} message B { message C {} }'))
    assert [types.at(each).full_name for each in ([0], [1], [1, 0])] == ["A", "B", "B.C"]
    assert types.named("B").file.name == MAIN
    with pytest.raises(DescriptorError, match=r"it has no message at \[2\]"):
        types.at([2])


def test_a_record_of_a_message_that_the_schema_does_not_have_says_so() -> None:
    schema = registered('syntax = "proto3"; message Order { string id = 1; }')
    found = read_one(reader_of(section(), {SchemaId(7): schema}), record_of(b"\0\0\0\0\7\2\4" + b"\n\1A"))
    assert found == "schema id 7: it has no message at [2]"


# ---- a descriptor set's file, which a section names


def test_a_section_s_descriptor_set_that_cannot_be_used_is_refused_with_its_line(tmp_path: Any) -> None:
    path = tmp_path / "shop.desc"
    text = section(descriptor=f'"{path}"', message='"shop.Order"')
    for content, words in (
        (None, "cannot be read: No such file or directory"),
        (b"\xff", "it is no descriptor set"),
        (b"", "it is a descriptor set without a file"),
        (_set_of(message_file("o", "shop", "Refund", id="")), "it has no message shop.Order"),
        (_set_of(message_file("o", "shop", "Order", "line.proto", id="")), "its files cannot be put together"),
    ):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(MappingFileError, match=r"line \d+: topics.\"shop.orders\".descriptor: ") as caught:
            mapped(text)
        assert words in str(caught.value)
    path.write_bytes(_set_of(message_file("o", "shop", "Order", id="", total="")))
    reader = reader_of(text)
    found = read_one(reader, record_of(b"\n\3A-1\x12\x045.00", timestamp_ms=NOW_MS))
    assert (found.order_id, found.price_cents) == ("A-1", 500)  # type: ignore[union-attr]


def _set_of(*files: Any) -> bytes:
    return bytes(descriptor_pb2.FileDescriptorSet(file=files).SerializeToString())
