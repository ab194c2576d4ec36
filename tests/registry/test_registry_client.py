"""Against a real registry: what is found, what is not, and what is said when there is no answer."""

from __future__ import annotations

import json

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient

from pipeline.errors import RegistryUnavailableError, SchemaPendingError, SchemaRefusedError
from pipeline.kafka.schema_registry import (
    HIGHEST_ID,
    MOST_PENDING,
    PENDING_FOR_MS,
    UNKNOWN_FOR_MS,
    UNKNOWN_KEPT,
    Missing,
)
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order
from pipeline.schema_source import RegisteredSchema, SchemaId
from pipeline.settings import PROJECT_DIR
from scripts.local.certificates import CertificateAuthority
from scripts.local.registry import ApicurioRegistry
from tests.registry.clients import (
    NEVER,
    PASSWORD,
    USER_INFO,
    Clock,
    assert_pending,
    client_of,
    complaint,
    through,
)
from tests.support.registry_proxy import RegistryProxy

STORE = SchemaStore(PROJECT_DIR / "schemas")
NEWEST = STORE.latest.text
ORDER = Order("ORD-1", "CUST-7", "Cup", 1299, 1_700_000_000_000, "north")


# -- what is there


def test_our_schema_is_registered_once_under_the_topics_subject_which_demands_backward_compatibility(
    registry: ApicurioRegistry, theirs: SchemaRegistryClient, topic: str
) -> None:
    codecs = [OrderCodec(STORE, client_of(registry.url)) for _ in range(2)]
    values = {codec.encoder_for(topic).encode(ORDER) for codec in codecs}
    latest = theirs.get_latest_version(f"{topic}-value")
    assert values == {codecs[0].encode_confluent(ORDER, latest.schema_id or 0)}
    assert json.loads(latest.schema.schema_str or "") == json.loads(NEWEST)
    assert theirs.get_versions(f"{topic}-value") == [1]
    assert theirs.get_compatibility(f"{topic}-value") == "BACKWARD"


def test_a_subject_that_others_made_keeps_its_compatibility(
    registry: ApicurioRegistry, theirs: SchemaRegistryClient, topic: str
) -> None:
    subject = f"{topic}-value"
    theirs.set_compatibility(subject, "FULL")
    theirs.register_schema(subject, Schema(STORE.version(1).text, "AVRO"))
    client_of(registry.url).register(subject, NEWEST)
    assert theirs.get_compatibility(subject) == "FULL"
    assert theirs.get_versions(subject) == [1, 2]


def test_a_subject_that_holds_something_else_refuses_our_schema(
    registry: ApicurioRegistry, theirs: SchemaRegistryClient, topic: str
) -> None:
    theirs.set_compatibility(f"{topic}-value", "BACKWARD")
    theirs.register_schema(f"{topic}-value", Schema('"string"', "AVRO"))
    with pytest.raises(SchemaRefusedError) as caught:
        OrderCodec(STORE, client_of(registry.url)).encoder_for(topic)
    assert f"subject {topic}-value" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_registry_that_lost_our_schema_is_told_it_again(
    registry: ApicurioRegistry, theirs: SchemaRegistryClient, topic: str
) -> None:
    client = client_of(registry.url)
    client.register(f"{topic}-value", NEWEST)
    theirs.delete_subject(f"{topic}-value")
    theirs.delete_subject(f"{topic}-value", permanent=True)
    client.register(f"{topic}-value", NEWEST)
    assert f"{topic}-value" in theirs.get_subjects()


def test_a_schema_that_was_found_is_not_asked_for_again(
    proxy: RegistryProxy, authority: CertificateAuthority, topic: str
) -> None:
    codec = OrderCodec(STORE, through(proxy, authority))
    value = codec.encoder_for(topic).encode(ORDER)
    assert codec.decode(value) == ORDER
    proxy.stop()
    assert codec.decode(value) == ORDER


def test_a_schema_that_refers_to_others_is_read_with_them(
    registry: ApicurioRegistry, theirs: SchemaRegistryClient, topic: str
) -> None:
    money = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
    note = {"type": "record", "name": "Note", "namespace": "shop", "fields": [{"name": "price", "type": money}]}
    notes = {"type": "record", "name": "Notes", "namespace": "shop", "fields": [{"name": "first", "type": "shop.Note"}]}
    fields = [
        {"name": "notes", "type": "shop.Notes"},
        {"name": "note", "type": "shop.Note"},
        *json.loads(NEWEST)["fields"],
    ]
    to_note = SchemaReference("shop.Note", f"{topic}-note", 1)
    to_notes = SchemaReference("shop.Notes", f"{topic}-notes", 1)
    theirs.register_schema(f"{topic}-note", Schema(json.dumps(note), "AVRO"))
    theirs.register_schema(f"{topic}-notes", Schema(json.dumps(notes), "AVRO", [to_note]))
    order = {"type": "record", "name": "Order", "namespace": "shop", "fields": fields}
    schema_id = theirs.register_schema(f"{topic}-value", Schema(json.dumps(order), "AVRO", [to_notes, to_note]))
    body = OrderCodec(STORE).encode(ORDER)[10:]
    codec = OrderCodec(STORE, client_of(registry.url))
    assert codec.decode(b"\0" + schema_id.to_bytes(4, "big") + b"\x02\x01" + b"\x02\x02" + body) == ORDER


# -- what is not there


def test_an_unknown_id_is_asked_for_once_a_second_and_found_when_it_is_registered(
    proxy: RegistryProxy, authority: CertificateAuthority, theirs: SchemaRegistryClient, topic: str, clock: Clock
) -> None:
    config = {"basic.auth.user.info": USER_INFO, "ssl.ca.location": str(authority.ca_file)}
    client = client_of(proxy.url, clock, **config)
    coming = theirs.register_schema(f"{topic}-before", Schema('{"type": "fixed", "name": "A", "size": 1}', "AVRO")) + 1
    for _ in range(1000):
        assert_pending(client, coming)
    assert len(proxy.asked) == 1
    clock.now_ms += UNKNOWN_FOR_MS
    assert_pending(client, coming)
    assert len(proxy.asked) == 2
    schema = '{"type": "fixed", "name": "B", "size": 2}'
    assert theirs.register_schema(f"{topic}-value", Schema(schema, "AVRO")) == coming
    clock.now_ms += UNKNOWN_FOR_MS
    assert client.get(SchemaId(coming)) == RegisteredSchema("AVRO", schema)


def test_a_clock_that_is_set_back_does_not_keep_an_id_unknown(
    proxy: RegistryProxy, authority: CertificateAuthority, clock: Clock
) -> None:
    config = {"basic.auth.user.info": USER_INFO, "ssl.ca.location": str(authority.ca_file)}
    client = client_of(proxy.url, clock, **config)
    assert_pending(client, NEVER)
    clock.now_ms -= 3_600_000
    assert_pending(client, NEVER)
    assert len(proxy.asked) == 2


def test_an_id_that_stays_unknown_is_waited_for_a_few_times_and_then_never_again(
    registry: ApicurioRegistry, clock: Clock
) -> None:
    client = client_of(registry.url, clock)
    waits = []
    for _ in range(10):
        try:
            assert client.get(SchemaId(NEVER)) is None
            break
        except SchemaPendingError as error:
            waits.append(error.wait_ms)
            clock.now_ms += error.wait_ms
    assert waits == [1000, 1000, 2000, 4000]
    assert client.get(SchemaId(NEVER)) is None
    clock.now_ms += 3_600_000
    assert client.get(SchemaId(NEVER)) is None


def test_ids_without_end_are_not_all_waited_for(registry: ApicurioRegistry, clock: Clock) -> None:
    client = client_of(registry.url, clock)
    for number in range(MOST_PENDING):
        assert_pending(client, NEVER - number)
    assert client.get(SchemaId(NEVER - MOST_PENDING)) is None
    clock.now_ms += PENDING_FOR_MS
    assert_pending(client, NEVER - MOST_PENDING)


def test_an_id_that_is_higher_than_ids_are_is_unknown_without_asking() -> None:
    assert client_of("http://127.0.0.1:1").get(SchemaId(HIGHEST_ID + 1)) is None


def test_unknown_ids_without_end_take_no_memory_without_end(registry: ApicurioRegistry) -> None:
    client = client_of(registry.url)
    client._missing = {SchemaId(NEVER + number): Missing(0, None) for number in range(UNKNOWN_KEPT)}
    assert_pending(client, NEVER - 1)
    assert len(client._missing) == 1


# -- no answer


def test_nobody_listens() -> None:
    text = complaint(client_of(f"http://{USER_INFO}@127.0.0.1:1/api"))
    assert text.startswith("the schema registry at http://********@127.0.0.1:1/api does not answer (")
    assert text.endswith("check ORDERPULSE_SCHEMA_REGISTRY_URL and that it runs")
    assert "refused" in text


def test_no_such_host() -> None:
    assert "does not answer (" in complaint(client_of("http://registry.invalid:8081"))


@pytest.mark.parametrize("path", ["", "/apis/registry/v3", "/apis/ccompat", "/apis", "/health"])
def test_a_wrong_path_is_not_taken_for_an_unknown_id(registry: ApicurioRegistry, path: str) -> None:
    text = complaint(client_of(registry.url.replace("/apis/ccompat/v7", path)))
    assert f"does not answer as one (404 to schema id {NEVER}); check ORDERPULSE_SCHEMA_REGISTRY_URL" in text


@pytest.mark.parametrize("status", [200, 204, 302])
def test_a_web_server_that_is_no_registry(proxy: RegistryProxy, authority: CertificateAuthority, status: int) -> None:
    proxy.answer_with = status
    assert "does not answer as one (" in complaint(through(proxy, authority))


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_registry_that_is_out_of_order(proxy: RegistryProxy, authority: CertificateAuthority, status: int) -> None:
    proxy.answer_with = status
    client = through(proxy, authority)
    assert f"answers {status} to schema id {NEVER}; check how it does" in complaint(client)
    assert len(proxy.asked) == 1  # waiting is for the role, which says so
    proxy.answer_with = None
    assert_pending(client, NEVER)


def test_a_registry_that_takes_its_time(proxy: RegistryProxy, authority: CertificateAuthority) -> None:
    proxy.may_answer.clear()
    client = through(proxy, authority, timeout=0.2)
    assert "does not answer in time" in complaint(client)
    proxy.may_answer.set()
    assert_pending(client, NEVER)


def test_a_wrong_password(proxy: RegistryProxy, authority: CertificateAuthority) -> None:
    proxy.user_info = "reader:another"
    client = through(proxy, authority)
    assert "refuses our user or password (401); check basic.auth.user.info in ORDERPULSE_SCHEMA_REGISTRY_CONFIG" in (
        complaint(client)
    )
    proxy.user_info = USER_INFO
    assert_pending(client, NEVER)


def test_a_password_in_the_url_is_used_and_not_shown(
    proxy: RegistryProxy, authority: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    client = client_of(proxy.url.replace("://", f"://{USER_INFO}@"), **{"ssl.ca.location": str(authority.ca_file)})
    assert_pending(client, NEVER)
    proxy.answer_with = 403
    assert "********@127.0.0.1" in complaint(client, NEVER + 1)
    assert PASSWORD not in caplog.text


def test_an_account_without_the_right(proxy: RegistryProxy, authority: CertificateAuthority) -> None:
    proxy.answer_with = 403
    client = through(proxy, authority)
    assert f"does not let us at schema id {NEVER} (403); check the account's rights" in complaint(client)
    proxy.answer_with = None
    assert_pending(client, NEVER)


def test_a_registry_that_comes_to_its_path_later(proxy: RegistryProxy, authority: CertificateAuthority) -> None:
    proxy.answer_with = 404
    client = through(proxy, authority)
    assert f"does not answer as one (404 to schema id {NEVER})" in complaint(client)
    proxy.answer_with = None
    assert_pending(client, NEVER)


def test_a_certificate_of_an_unknown_authority(proxy: RegistryProxy, authority: CertificateAuthority) -> None:
    text = complaint(client_of(proxy.url, **{"basic.auth.user.info": USER_INFO}))
    assert "has a certificate that is not trusted (unable to get local issuer certificate)" in text
    assert "ssl.ca.location in ORDERPULSE_SCHEMA_REGISTRY_CONFIG" in text


def test_a_certificate_that_is_replaced_by_one_that_is_trusted(
    proxy: RegistryProxy, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    proxy.stop()
    trusted, proxy.certificate = proxy.certificate, CertificateAuthority(tmp_path_factory.mktemp("others")).server()
    proxy.start()
    client = through(proxy, authority)
    assert "not trusted" in complaint(client)
    proxy.stop()
    proxy.certificate = trusted
    proxy.start()
    assert_pending(client, NEVER)


def test_a_certificate_authority_that_is_put_in_its_place_later(
    proxy: RegistryProxy, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("later") / "ca.pem"
    client = through(proxy, authority, **{"ssl.ca.location": str(file)})
    assert "No such file or directory; check ORDERPULSE_SCHEMA_REGISTRY_CONFIG" in complaint(client)
    file.write_text("no certificate")
    assert "cannot be reached by TLS (NO_CERTIFICATE_OR_CRL_FOUND)" in complaint(client)
    file.write_text(CertificateAuthority(file.parent / "others").ca_file.read_text())
    assert "not trusted" in complaint(client)
    file.write_text(authority.ca_file.read_text())
    assert_pending(client, NEVER)


def test_a_registry_that_demands_a_certificate_of_ours(
    registry: ApicurioRegistry, authority: CertificateAuthority
) -> None:
    ours = authority.client("orderpulse")
    given = {"ssl.certificate.location": str(ours.certificate_file), "ssl.key.location": str(ours.key_file)}
    with RegistryProxy(registry.url, authority.server(), USER_INFO, authority.ca_file) as proxy:
        assert_pending(through(proxy, authority, **given), NEVER)
        assert "ssl.*" in complaint(through(proxy, authority))


def test_https_where_there_is_only_http(registry: ApicurioRegistry) -> None:
    text = complaint(client_of(registry.url.replace("http:", "https:")))
    assert "cannot be reached by TLS (" in text
    assert "check https in ORDERPULSE_SCHEMA_REGISTRY_URL" in text


def test_rechecking_asks_for_what_was_not_answered_and_for_nothing_else(
    proxy: RegistryProxy, authority: CertificateAuthority
) -> None:
    client = through(proxy, authority)
    client.recheck()
    assert proxy.asked == []
    proxy.answer_with = 503
    complaint(client)
    with pytest.raises(RegistryUnavailableError):
        client.recheck()
    proxy.answer_with = None
    client.recheck()
    client.recheck()
    assert len(proxy.asked) == 3
