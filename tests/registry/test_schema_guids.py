"""Schemas by their GUID: from a registry that answers as Confluent's does, and from a real one that knows none."""

from __future__ import annotations

from uuid import UUID

import pytest

from pipeline.errors import SchemaUnusableError
from pipeline.kafka.registries.answers import MOST_REFERENCED
from pipeline.kafka.schema_registry import UNKNOWN_FOR_MS
from pipeline.schema_source import ReferencedSchema, RegisteredSchema, SchemaGuid, SchemaId, SchemaRef
from scripts.local.certificates import CertificateAuthority
from scripts.local.registry import ApicurioRegistry
from tests.registry.clients import NEVER, PASSWORD, Clock, assert_pending, client_of, complaint, through
from tests.support.confluent_registry import ConfluentRegistry, Version
from tests.support.registry_proxy import RegistryProxy

GUID = UUID("89791762-2336-4186-9674-299b90a802e2")
REF = SchemaGuid(GUID.bytes)
COMMON = Version("c", 1, UUID(int=1), 'syntax = "proto3"; message C {}', "PROTOBUF")
MIDDLE = Version("m", 2, UUID(int=2), 'syntax = "proto3"; import "c.proto";', "PROTOBUF", (("c.proto", "c"),))
ORDER = Version("o", 3, GUID, "import both", "PROTOBUF", (("m.proto", "m"), ("c.proto", "c"), ("too/c.proto", "c")))
PROTOBUF_ORDER = RegisteredSchema(
    "PROTOBUF",
    "import both",
    (
        ReferencedSchema("c.proto", COMMON.schema),
        ReferencedSchema("m.proto", MIDDLE.schema),
        ReferencedSchema("too/c.proto", COMMON.schema),
    ),
)


def test_a_schema_comes_by_its_guid_and_by_its_id_behind_those_that_it_needs_by_each_name() -> None:
    with ConfluentRegistry([COMMON, MIDDLE, ORDER]) as registry:
        for ref in (REF, SchemaId(3)):
            assert client_of(registry.url).get(ref) == PROTOBUF_ORDER


@pytest.mark.parametrize(("kind", "text"), [("AVRO", '"string"'), ("JSON", "{}"), ("PROTOBUF", "")])
def test_the_kind_is_what_the_registry_says(kind: str, text: str) -> None:
    with ConfluentRegistry([Version("o", 3, GUID, text, kind)]) as registry:
        found = client_of(registry.url).get(REF)
    assert found is not None
    assert (found.kind, found.text, found.referenced) == (kind, text, ())


def test_a_kind_that_no_reader_knows_is_a_reason() -> None:
    registered = Version("o", 3, GUID, "<a/>", "X" * 1000)
    with ConfluentRegistry([registered]) as registry, pytest.raises(SchemaUnusableError) as caught:
        client_of(registry.url).get(REF)
    assert caught.value.reason == f"{REF} is of kind {'X' * 50}, which is none of AVRO, JSON, PROTOBUF"


def test_an_unknown_guid_is_waited_for_and_found_when_it_is_there(clock: Clock) -> None:
    with ConfluentRegistry() as registry:
        client = client_of(registry.url, clock)
        for _ in range(3):
            assert_pending(client, REF)
        assert registry.asked == [f"/schemas/guids/{GUID}"]
        registry.versions += [COMMON, MIDDLE, ORDER]
        clock.now_ms += UNKNOWN_FOR_MS
        assert client.get(REF) == PROTOBUF_ORDER


def test_a_guid_that_stays_unknown_is_none_in_the_end(clock: Clock) -> None:
    with ConfluentRegistry() as registry:
        client = client_of(registry.url, clock)
        assert_pending(client, REF)
        clock.now_ms += 3_600_000
        assert client.get(REF) is None


def test_a_schema_that_was_found_is_not_asked_for_again() -> None:
    with ConfluentRegistry([COMMON, MIDDLE, ORDER]) as registry:
        client = client_of(registry.url)
        assert client.get(REF) == PROTOBUF_ORDER
    assert client.get(REF) == PROTOBUF_ORDER


def test_a_registry_that_knows_no_guids_is_named_and_nothing_waits_for_it(
    proxy: RegistryProxy, authority: CertificateAuthority
) -> None:
    client = through(proxy, authority)
    for _ in range(3):
        with pytest.raises(SchemaUnusableError) as caught:
            client.get(REF)
        reason = f"schema GUID {GUID} cannot be looked up: the schema registry at {proxy.url} knows no GUIDs"
        assert caught.value.reason == reason
        assert PASSWORD not in reason
        client.recheck()
    assert len(proxy.asked) == 2


@pytest.mark.parametrize("path", ["", "/apis/registry/v3", "/apis/ccompat", "/health"])
def test_a_wrong_path_is_not_taken_for_a_registry_without_guids(registry: ApicurioRegistry, path: str) -> None:
    text = complaint(client_of(registry.url.replace("/apis/ccompat/v7", path)), REF)
    assert f"does not answer as one (404 to {REF}); check ORDERPULSE_SCHEMA_REGISTRY_URL" in text


@pytest.mark.parametrize("status", [200, 403, 404, 503])
def test_no_answer_is_no_reason_against_the_record(
    proxy: RegistryProxy, authority: CertificateAuthority, status: int
) -> None:
    proxy.answer_with = status
    assert str(REF) in complaint(through(proxy, authority), REF)


# -- schemas that refer to too much


def chain(length: int) -> list[Version]:
    """Schemas each of which refers to the one before; the last one has the id `length`."""
    links = [((f"n{number - 1}", f"s{number - 1}"),) if number else () for number in range(length + 1)]
    return [Version(f"s{number}", number, UUID(int=number), "{}", "JSON", to) for number, to in enumerate(links)]


def test_as_many_schemas_may_be_needed_as_are_allowed_and_no_more() -> None:
    with ConfluentRegistry(chain(MOST_REFERENCED + 1)) as registry:
        found = client_of(registry.url).get(SchemaId(MOST_REFERENCED))
        assert found is not None
        assert [each.name for each in found.referenced] == [f"n{number}" for number in range(MOST_REFERENCED)]
        with pytest.raises(SchemaUnusableError) as caught:
            client_of(registry.url).get(SchemaId(MOST_REFERENCED + 1))
    assert caught.value.reason == f"schema id {MOST_REFERENCED + 1} needs more than {MOST_REFERENCED} other schemas"


def test_schemas_that_refer_to_each_other_are_taken_once() -> None:
    there = Version("a", 1, UUID(int=1), "{}", "JSON", (("b", "b"),))
    back = Version("b", 2, UUID(int=2), "[]", "JSON", (("a", "a"), ("b", "b")))
    with ConfluentRegistry([there, back]) as registry:
        found = client_of(registry.url).get(SchemaId(1))
    assert found == RegisteredSchema("JSON", "{}", (ReferencedSchema("a", "{}"), ReferencedSchema("b", "[]")))


@pytest.mark.parametrize("ref", [SchemaId(3), REF])
def test_a_schema_that_refers_to_what_is_not_there_is_unknown_itself(ref: SchemaRef) -> None:
    with ConfluentRegistry([ORDER]) as registry:
        assert_pending(client_of(registry.url), ref)
        assert_pending(client_of(registry.url), NEVER)
