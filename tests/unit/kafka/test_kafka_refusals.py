"""Refusals as librdkafka 2 words them, in our words."""

from __future__ import annotations

import pytest

from pipeline.kafka.connection.refusals import Asked, in_words, is_refusal

BROKER = "sasl_ssl://kafka-1.example.org:9093/bootstrap: "
UNTRUSTED = "error:0A000086:SSL routines::certificate verify failed"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("_AUTHENTICATION", "SASL authentication error: Invalid username or password", "refuses the account"),
        ("_AUTHENTICATION", "SASL NOPE mechanism handshake failed: Unsupported", "does not take this SASL mechanism"),
        ("_SSL", f"SSL handshake failed: {UNTRUSTED}: broker certificate could not be verified", "is not trusted"),
        ("_TRANSPORT", UNTRUSTED, "is not trusted"),
        ("_TRANSPORT", "Receive failed: ssl/tls alert bad certificate: SSL alert number 42", "our client certificate"),
        ("_TRANSPORT", "Receive failed: tlsv13 alert certificate required", "our client certificate"),
        ("_TRANSPORT", "Disconnected: connecting to a PLAINTEXT broker listener?", "speaks no TLS"),
        ("_SSL", "something else", "TLS with"),
    ],
)
def test_a_refusal_says_what_where_and_what_to_check_and_is_always_the_same_line(name, text, words):
    first = in_words(name, f"{BROKER}{text} (after 313ms in state AUTH_REQ)")
    assert first == in_words(name, f"{BROKER.replace('bootstrap', '1')}{text} (after 7ms in state AUTH_REQ)")
    assert is_refusal(name, text)
    assert words in first
    assert "kafka-1.example.org:9093" in first
    assert "ORDERPULSE_KAFKA_CONFIG" in first
    assert "\n" not in first


def test_both_wordings_of_a_certificate_that_is_not_trusted_are_one():
    assert in_words("_SSL", f"{BROKER}SSL handshake failed: {UNTRUSTED}: verify that") == in_words(
        "_TRANSPORT", f"{BROKER}{UNTRUSTED}"
    )


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("TOPIC_AUTHORIZATION_FAILED", Asked("Read", "orders"), "allows Read on topic orders"),
        ("TOPIC_AUTHORIZATION_FAILED", Asked("Write", "orders-dlq"), "allows Write on topic orders-dlq"),
        ("GROUP_AUTHORIZATION_FAILED", Asked(group="orderpulse"), "allows Read on group orderpulse"),
        ("CLUSTER_AUTHORIZATION_FAILED", Asked("Write", "orders-dlq"), "allows Write on topic orders-dlq"),
    ],
)
def test_a_missing_acl_is_named(name, asked, words):
    said = in_words(name, "Broker: Authorization failed", asked)
    assert words in said
    assert said.endswith("(Broker: Authorization failed)")
    assert not is_refusal(name, "Broker: Authorization failed")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("INVALID_SESSION_TIMEOUT", "JoinGroup failed: Broker: Invalid session timeout", "session.timeout.ms"),
        ("_FATAL", "Fatal error: Broker: API version not supported: ConsumerGroupHeartbeat fatal error", "Kafka 4.0"),
        (
            "_FATAL",
            "Fatal error: Broker: The assignor or its version range is not supported by the consumer group",
            "check it in",
        ),
    ],
)
def test_what_the_brokers_do_not_take_of_the_group_s_settings_is_named(name, text, words):
    said = in_words(name, text)
    assert words in said
    assert "ORDERPULSE_KAFKA_CONFIG" in said
    assert said.endswith(f"({text})")


def test_nobody_there_is_no_refusal():
    text = f"{BROKER}Connect to ipv4#10.0.0.1:9093 failed: Connection refused"
    assert not is_refusal("_TRANSPORT", text)
    assert in_words("_TRANSPORT", text).startswith("Kafka does not answer: ")
