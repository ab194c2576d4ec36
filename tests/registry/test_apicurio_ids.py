"""Against a real Apicurio: schemas by ids of its own, of every kind, with those that they refer to."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient

from pipeline.errors import SchemaUnusableError, UndecodableError
from pipeline.kafka.schema_registry import HIGHEST_APICURIO_ID, UNKNOWN_FOR_MS, RegistryClient
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.serde import OrderCodec
from pipeline.schema_source import (
    ApicurioContentId,
    ApicurioGlobalId,
    ReferencedSchema,
    RegisteredSchema,
    SchemaId,
    SchemaKind,
    SchemaRef,
)
from pipeline.settings import PROJECT_DIR
from scripts.local.certificates import CertificateAuthority
from scripts.local.registry import ApicurioRegistry
from tests.registry.clients import NEVER, USER_INFO, Clock, assert_pending, client_of, complaint, through
from tests.support.registry_proxy import RegistryProxy

DRAFT = '"$schema": "http://json-schema.org/draft-07/schema#"'
# Of each kind a schema, the one that both others refer to, by its name there, and the one between.
FAMILIES: dict[SchemaKind, tuple[str, tuple[str, str], tuple[str, str]]] = {
    "AVRO": (
        '{"type": "record", "name": "A", "fields": [{"name": "m", "type": "M"}, {"name": "c", "type": "C"}]}',
        ("C", '{"type": "record", "name": "C", "fields": []}'),
        ("M", '{"type": "record", "name": "M", "fields": [{"name": "c", "type": "C"}]}'),
    ),
    "PROTOBUF": (
        'syntax = "proto3";\nimport "m.proto";\nimport "shop/c.proto";\nmessage A { M m = 1; C c = 2; }\n',
        ("shop/c.proto", 'syntax = "proto3";\nmessage C { string x = 1; }\n'),
        ("m.proto", 'syntax = "proto3";\nimport "shop/c.proto";\nmessage M { C c = 1; }\n'),
    ),
    "JSON": (
        f'{{{DRAFT}, "properties": {{"m": {{"$ref": "m.json"}}, "c": {{"$ref": "c.json"}}}}}}',
        ("c.json", f'{{{DRAFT}, "$id": "c.json", "type": "object"}}'),
        ("m.json", f'{{{DRAFT}, "$id": "m.json", "properties": {{"c": {{"$ref": "c.json"}}}}}}'),
    ),
}


@dataclass(frozen=True, slots=True)
class Ids:
    """What the registry calls a version."""

    subject: str
    schema_id: SchemaId
    content_id: ApicurioContentId
    global_id: ApicurioGlobalId

    def refs(self) -> tuple[SchemaRef, ...]:
        return self.schema_id, self.content_id, self.global_id


def of_its_own(registry: ApicurioRegistry, path: str, sent: dict[str, Any] | None = None) -> Any:
    """What Apicurio's own API answers."""
    url = f"{registry.url.partition('/apis/')[0]}/apis/registry/v3{path}"
    body = None if sent is None else json.dumps(sent).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def register(registry: ApicurioRegistry, theirs: SchemaRegistryClient, subject: str, schema: Schema) -> Ids:
    """Registers it twice, so that its global id is another number than its content id."""
    theirs.register_schema(f"{subject}-before", schema)
    schema_id = theirs.register_schema(subject, schema)
    meta = of_its_own(registry, f"/groups/default/artifacts/{subject}/versions/1")
    assert meta["contentId"] != meta["globalId"]
    return Ids(subject, SchemaId(schema_id), ApicurioContentId(meta["contentId"]), ApicurioGlobalId(meta["globalId"]))


def family(registry: ApicurioRegistry, theirs: SchemaRegistryClient, topic: str, kind: SchemaKind) -> Ids:
    text, (common_name, common), (middle_name, middle) = FAMILIES[kind]
    to_common = SchemaReference(common_name, f"{topic}-c", 1)
    to_middle = SchemaReference(middle_name, f"{topic}-m", 1)
    theirs.register_schema(f"{topic}-c", Schema(common, kind))
    theirs.register_schema(f"{topic}-m", Schema(middle, kind, [to_common]))
    return register(registry, theirs, f"{topic}-value", Schema(text, kind, [to_middle, to_common]))


def expected(kind: SchemaKind) -> RegisteredSchema:
    text, common, middle = FAMILIES[kind]
    return RegisteredSchema(kind, text, (ReferencedSchema(*common), ReferencedSchema(*middle)))


def unusable(client: RegistryClient, ref: SchemaRef) -> str:
    with pytest.raises(SchemaUnusableError) as caught:
        client.get(ref)
    return caught.value.reason


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_schema_comes_by_each_of_its_ids_behind_those_that_it_needs(
    registry: ApicurioRegistry, theirs: SchemaRegistryClient, topic: str, kind: SchemaKind
) -> None:
    ids = family(registry, theirs, topic, kind)
    for ref in ids.refs():
        assert client_of(registry.url).get(ref) == expected(kind), ref


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_server_of_before_3_is_asked_by_its_older_api(
    registry: ApicurioRegistry, theirs: SchemaRegistryClient, topic: str, kind: SchemaKind
) -> None:
    ids = family(registry, theirs, topic, kind)
    with RegistryProxy(registry.url) as proxy:
        proxy.without = "/apis/registry/v3"
        client = client_of(proxy.url)
        assert client.get(ids.content_id) == client.get(ids.global_id) == expected(kind)
        assert_pending(client, ApicurioContentId(NEVER))
        assert_pending(client, ApicurioGlobalId(NEVER))


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_schema_that_was_deleted_is_there_by_its_content_until_it_is_gone_for_good(
    registry: ApicurioRegistry, theirs: SchemaRegistryClient, topic: str, kind: SchemaKind
) -> None:
    _, (_, text), _ = FAMILIES[kind]
    ids = register(registry, theirs, f"{topic}-value", Schema(f"{text}\n", kind))
    subjects = (ids.subject, f"{ids.subject}-before")
    for subject in subjects:
        theirs.delete_subject(subject)
    assert client_of(registry.url).get(ids.content_id) == RegisteredSchema(kind, f"{text}\n")
    assert_pending(client_of(registry.url), ids.global_id)
    for subject in subjects:
        theirs.delete_subject(subject, permanent=True)
    assert_pending(client_of(registry.url), ids.content_id)


def test_references_may_be_in_groups_and_have_names_of_any_kind(registry: ApicurioRegistry, topic: str) -> None:
    common, name = '{"type": "fixed", "name": "C", "size": 1}', f"{topic} a/b?c#d"
    to_common = {"groupId": "shop x", "artifactId": name, "version": "1.0+b", "name": "C"}
    text = '{"type": "record", "name": "A", "fields": [{"name": "c", "type": "C"}]}'

    def create(artifact: str, version: str, content: str, *references: dict[str, str]) -> dict[str, Any]:
        made = {"content": content, "contentType": "application/json", "references": references}
        sent = {"artifactId": artifact, "artifactType": "AVRO", "firstVersion": {"version": version, "content": made}}
        version_made: dict[str, Any] = of_its_own(registry, "/groups/shop%20x/artifacts", sent)["version"]
        return version_made

    create(name, "1.0+b", common)
    made = create(topic, "2", text, to_common)
    schema = RegisteredSchema("AVRO", text, (ReferencedSchema("C", common),))
    client = client_of(registry.url)
    assert client.get(ApicurioContentId(made["contentId"])) == schema
    assert client.get(ApicurioGlobalId(made["globalId"])) == schema


def test_what_is_no_schema_of_records_is_refused_by_its_type(registry: ApicurioRegistry, topic: str) -> None:
    content = {"content": '<schema xmlns="http://www.w3.org/2001/XMLSchema"/>', "contentType": "application/xml"}
    sent = {"artifactId": topic, "artifactType": "XSD", "firstVersion": {"content": content}}
    made = of_its_own(registry, "/groups/default/artifacts", sent)["version"]
    ref = ApicurioGlobalId(made["globalId"])
    assert unusable(client_of(registry.url), ref) == f"{ref} is of kind XSD, which is none of AVRO, JSON, PROTOBUF"


def test_bytes_that_are_no_text_are_no_schema(registry: ApicurioRegistry, topic: str) -> None:
    url = f"{registry.url.partition('/apis/')[0]}/apis/registry/v2/groups/default/artifacts"
    headers = {"X-Registry-ArtifactId": topic, "X-Registry-ArtifactType": "PROTOBUF"}
    request = urllib.request.Request(url, b"\xff\xfe", headers | {"Content-Type": "application/x-protobuf"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        ref = ApicurioContentId(json.load(answer)["contentId"])
    assert unusable(client_of(registry.url), ref) == f"{ref} is no text in UTF-8"


def test_an_id_of_a_protobuf_schema_is_not_read_as_avro(
    registry: ApicurioRegistry, theirs: SchemaRegistryClient, topic: str
) -> None:
    schema_id = theirs.register_schema(f"{topic}-value", Schema(FAMILIES["PROTOBUF"][1][1], "PROTOBUF"))
    codec = OrderCodec(SchemaStore(PROJECT_DIR / "schemas"), client_of(registry.url))
    with pytest.raises(UndecodableError, match=f"^schema id {schema_id} is of kind PROTOBUF, not AVRO$"):
        codec.decode(b"\0" + schema_id.to_bytes(4, "big") + b"\0")


# -- what is not there


@pytest.mark.parametrize("kind_of_id", [ApicurioContentId, ApicurioGlobalId])
def test_an_unknown_id_is_waited_for_as_a_schema_id_is(
    registry: ApicurioRegistry, clock: Clock, kind_of_id: type[ApicurioContentId | ApicurioGlobalId]
) -> None:
    client = client_of(registry.url, clock)
    for ref in (kind_of_id(NEVER), kind_of_id(HIGHEST_APICURIO_ID), kind_of_id(0)):
        assert_pending(client, ref)
    clock.now_ms += 3_600_000
    assert client.get(kind_of_id(NEVER)) is None


@pytest.mark.parametrize("kind_of_id", [ApicurioContentId, ApicurioGlobalId])
@pytest.mark.parametrize("value", [-1, HIGHEST_APICURIO_ID + 1])
def test_a_number_that_is_no_id_is_unknown_without_asking(
    kind_of_id: type[ApicurioContentId | ApicurioGlobalId], value: int
) -> None:
    assert client_of("http://127.0.0.1:1/apis/ccompat/v7").get(kind_of_id(value)) is None


def test_an_id_and_another_id_of_the_same_number_have_nothing_to_do_with_each_other(
    registry: ApicurioRegistry, theirs: SchemaRegistryClient, topic: str
) -> None:
    ids = register(registry, theirs, f"{topic}-value", Schema('{"type": "fixed", "name": "Own", "size": 3}', "AVRO"))
    client = client_of(registry.url)
    assert client.get(ids.global_id) == client.get(ids.content_id)
    # There are fewer texts than versions, so this number is no text's yet.
    assert_pending(client, ApicurioContentId(ids.global_id.value))


# -- no answer


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://127.0.0.1:1/apis/ccompat"])
@pytest.mark.parametrize("ref", [ApicurioContentId(12), ApicurioGlobalId(12)])
def test_a_registry_that_is_not_apicurios_is_not_asked_and_the_reason_says_so(url: str, ref: SchemaRef) -> None:
    client = client_of(url)
    reason = f"{ref} needs Apicurio's registry: ORDERPULSE_SCHEMA_REGISTRY_URL has no /apis/ccompat/"
    assert unusable(client, ref) == reason
    client.recheck()


@pytest.mark.parametrize("path", ["/nothing/apis/ccompat/v7", "/api/apis/ccompat/v7"])
def test_a_wrong_path_is_not_taken_for_an_unknown_id(registry: ApicurioRegistry, path: str) -> None:
    text = complaint(client_of(registry.url.replace("/apis/ccompat/v7", path)), ApicurioContentId(12))
    assert "does not answer as one (404 to Apicurio content id 12); check ORDERPULSE_SCHEMA_REGISTRY_URL" in text


@pytest.mark.parametrize("status", [200, 204, 302, 404])
def test_a_web_server_that_is_no_registry(proxy: RegistryProxy, authority: CertificateAuthority, status: int) -> None:
    proxy.answer_with = status
    client = through(proxy, authority)
    assert "does not answer as one (" in complaint(client, ApicurioContentId(NEVER))
    proxy.answer_with = None
    assert_pending(client, ApicurioContentId(NEVER))


def test_credentials_and_certificates_are_those_of_the_client(
    proxy: RegistryProxy,
    authority: CertificateAuthority,
    registry: ApicurioRegistry,
    theirs: SchemaRegistryClient,
    topic: str,
) -> None:
    ids = family(registry, theirs, topic, "PROTOBUF")
    assert through(proxy, authority).get(ids.content_id) == expected("PROTOBUF")
    in_url = proxy.url.replace("://", f"://{USER_INFO}@")
    assert client_of(in_url, **{"ssl.ca.location": str(authority.ca_file)}).get(ids.global_id) == expected("PROTOBUF")
    assert "not trusted" in complaint(client_of(proxy.url, **{"basic.auth.user.info": USER_INFO}), ids.content_id)
    proxy.user_info = "reader:another"
    assert "refuses our user or password (401)" in complaint(through(proxy, authority), ids.content_id)


def test_an_outage_is_waited_for_and_rechecked(proxy: RegistryProxy, authority: CertificateAuthority) -> None:
    ref, client = ApicurioGlobalId(NEVER), through(proxy, authority)
    proxy.answer_with = 503
    assert f"answers 503 to {ref}; check how it does" in complaint(client, ref)
    proxy.answer_with = None
    client.recheck()
    asked = len(proxy.asked)
    client.recheck()
    assert len(proxy.asked) == asked
    proxy.stop()
    assert "does not answer (" in complaint(client, ApicurioContentId(NEVER))


def test_of_several_servers_the_next_one_is_asked_when_one_is_away(
    registry: ApicurioRegistry, theirs: SchemaRegistryClient, topic: str
) -> None:
    ids = family(registry, theirs, topic, "JSON")
    away, not_apicurios = "http://127.0.0.1:1/apis/ccompat/v7", "http://127.0.0.1:1"
    with RegistryProxy(registry.url) as broken:
        broken.answer_with = 503
        client = client_of(",".join([not_apicurios, away, broken.url, registry.url]))
        assert client.get(ids.content_id) == expected("JSON")


def test_a_schema_that_was_found_or_cannot_be_used_is_not_asked_for_each_time(
    proxy: RegistryProxy,
    authority: CertificateAuthority,
    registry: ApicurioRegistry,
    theirs: SchemaRegistryClient,
    topic: str,
    clock: Clock,
) -> None:
    ids = family(registry, theirs, topic, "AVRO")
    content = {"content": '<schema xmlns="http://www.w3.org/2001/XMLSchema"/> ', "contentType": "application/xml"}
    sent = {"artifactId": f"{topic}-xsd", "artifactType": "XSD", "firstVersion": {"content": content}}
    xsd = ApicurioGlobalId(of_its_own(registry, "/groups/default/artifacts", sent)["version"]["globalId"])
    config = {"basic.auth.user.info": USER_INFO, "ssl.ca.location": str(authority.ca_file)}
    client = client_of(proxy.url, clock, **config)
    client.get(ids.content_id)
    unusable(client, xsd)
    asked = len(proxy.asked)
    for _ in range(3):
        assert client.get(ids.content_id) == expected("AVRO")
        assert "is of kind XSD" in unusable(client, xsd)
    assert len(proxy.asked) == asked
    clock.now_ms += UNKNOWN_FOR_MS
    unusable(client, xsd)
    assert len(proxy.asked) > asked
