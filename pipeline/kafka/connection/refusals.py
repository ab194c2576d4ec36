"""Kafka's refusals in words: what failed, where, and what to check; librdkafka's own text comes after.

The same refusal is the same text every time, so that it can be logged once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.settings import variable_of

_BROKER = re.compile(r"(?:\w+://)?(?P<address>[\w.\-\[\]:]+:\d+)/(?:bootstrap|\d+)\b")
_TIMING = re.compile(r"\s*\(after \d+ms in state [^)]*\)")
_CLIENT_CERTIFICATE = re.compile(r"alert (bad certificate|certificate required|unknown ca|certificate unknown)")
_NO_TLS_THERE = re.compile(r"PLAINTEXT broker listener|SSL connection closed by peer|wrong version number")
UNTRUSTED = "certificate verify failed"
"""All that is kept of librdkafka's text for it, which has two wordings that take turns."""
NO_TOKEN = "Failed to acquire SASL OAUTHBEARER token"
CALLBACK_RAISED = "OAuth callback raised exception"
CALLBACK_REFUSED = "OAuth token not set"
"""What confluent-kafka says when it is given a token that librdkafka does not take."""
_AUTHENTICATION = frozenset({"_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"})
NO_LEADER = "no broker leads it just now"
_NOBODY = frozenset({"_TRANSPORT", "_RESOLVE", "_ALL_BROKERS_DOWN", "_TIMED_OUT"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of Kafka, for errors that do not say it themselves.

    `operation` is what an ACL would have to allow: Read, Write or Describe.
    """

    operation: str = "Describe"
    topic: str = ""
    group: str = ""


NOTHING_SPECIAL = Asked()


def is_refusal(name: str, text: str) -> bool:
    """Whether a broker, or its certificate, was reached and the answer is no: we may not even connect.

    `name` is that of librdkafka's error code, such as `_AUTHENTICATION`, `text` its message.
    """
    return NO_TOKEN not in text and _connection_refusal(name, text) is not None


def is_forbidden(name: str) -> bool:
    """Whether an ACL is missing."""
    return name.endswith("AUTHORIZATION_FAILED")


def in_words(name: str, text: str, asked: Asked = NOTHING_SPECIAL, token_source: str = "") -> str:
    """One line: what failed, where, what to check, and librdkafka's text in brackets."""
    theirs = " ".join(_TIMING.sub("", text).split())
    if NO_TOKEN in text:
        where = token_source or "the token endpoint"
        said = theirs.partition(NO_TOKEN)[2].lstrip(": ")
        check = f"check sasl.oauthbearer.* and https.ca.* in {variable_of('kafka_config')}"
        return f"no token from {where}: {check} ({said})"
    refusal = _connection_refusal(name, text, token_source) or _missing_permission(name, asked)
    if refusal is not None:
        return f"{refusal} ({_BROKER.sub('', UNTRUSTED if UNTRUSTED in text else theirs).lstrip(': ')})"
    if (wrong := _group_setting(name, text)) is not None:
        return f"{wrong} ({theirs})"
    if name == "LEADER_NOT_AVAILABLE" or "No leaders found" in text:
        return NO_LEADER  # it has two wordings for it
    if name == "MSG_SIZE_TOO_LARGE" and asked.topic:
        return f"it is larger than topic {asked.topic} takes, see its max.message.bytes ({theirs})"
    if name in _NOBODY:
        return (
            f"Kafka does not answer: {theirs}; check {variable_of('bootstrap_servers')} and security.protocol in "
            f"{variable_of('kafka_config')}"
        )
    return theirs


def broker_in(text: str) -> str:
    """The address, `host:port`, of the broker that librdkafka speaks of; empty if it names none."""
    found = _BROKER.search(text)
    return found["address"] if found else ""


def _connection_refusal(name: str, text: str, token_source: str = "") -> str | None:
    where = broker_in(text) or "a broker"
    config = variable_of("kafka_config")
    if name in _AUTHENTICATION:
        if "handshake failed" in text:
            return f"{where} does not take this SASL mechanism: check sasl.mechanisms and security.protocol in {config}"
        if token_source:
            return (
                f"{where} refuses the token from {token_source}: check that the brokers trust its issuer, and its "
                f"audience, scope and principal"
            )
        return f"{where} refuses the account: check sasl.username, sasl.password and sasl.mechanisms in {config}"
    if UNTRUSTED in text:
        return (
            f"the certificate of {where} is not trusted: check ssl.ca.location in {config}, that it is for the host in "
            f"{variable_of('bootstrap_servers')}, and that it has not expired"
        )
    if _CLIENT_CERTIFICATE.search(text):
        return (
            f"{where} does not accept our client certificate, or we have none: check ssl.certificate.location and "
            f"ssl.key.location in {config}, and that the brokers trust the CA that signed it"
        )
    if _NO_TLS_THERE.search(text):
        return f"{where} speaks no TLS: check security.protocol in {config} and the port"
    if name == "_SSL":
        return f"TLS with {where} fails: check the ssl. properties in {config}"
    return None


def _group_setting(name: str, text: str) -> str | None:
    """What of the group's settings the brokers do not take."""
    config = variable_of("kafka_config")
    if name == "INVALID_SESSION_TIMEOUT":
        return (
            f"the brokers do not allow this session.timeout.ms in {config}: it must be from their "
            "group.min.session.timeout.ms to their group.max.session.timeout.ms"
        )
    if "ConsumerGroupHeartbeat" in text and "API version not supported" in text:
        return f"these brokers do not know group.protocol=consumer (Kafka 4.0 does): leave it out of {config}"
    if "assignor or its version range is not supported" in text:
        return f"the brokers do not know this group.remote.assignor: check it in {config}"
    return None


def _missing_permission(name: str, asked: Asked) -> str | None:
    if name == "TOPIC_AUTHORIZATION_FAILED":
        return (
            f"this account may not {asked.operation.lower()} topic {asked.topic}: it needs an ACL that allows "
            f"{asked.operation} on topic {asked.topic}"
        )
    if name == "GROUP_AUTHORIZATION_FAILED":
        return (
            f"this account may not use consumer group {asked.group}: it needs an ACL that allows Read on group "
            f"{asked.group}"
        )
    if name == "CLUSTER_AUTHORIZATION_FAILED" and asked.operation == "Write":
        # An idempotent producer may begin when it may write to any topic at all (KIP-679).
        return (
            f"this account may not write topic {asked.topic}: it needs an ACL that allows Write on topic "
            f"{asked.topic}, and before Kafka 2.8 IdempotentWrite on the cluster"
        )
    if name == "CLUSTER_AUTHORIZATION_FAILED":
        return f"this account needs an ACL that allows {asked.operation} on the cluster"
    return None
