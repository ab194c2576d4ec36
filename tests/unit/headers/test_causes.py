"""The cause behind a wrapper is the innermost one of the stack, class and message."""

from __future__ import annotations

import pytest

from pipeline.headers import read_failure
from pipeline.headers.causes import innermost_cause
from pipeline.records import Headers

STACK = """org.springframework.kafka.listener.ListenerExecutionFailedException: Listener failed
\tat org.springframework.kafka.listener.KafkaMessageListenerContainer.run(K.java:1)
\tSuppressed: org.springframework.kafka.listener.ListenerExecutionFailedException: Restored Stack Trace
\t\tat org.example.Inner.run(I.java:2)
\tCaused by: java.lang.RuntimeException: of the suppressed one
Caused by: java.lang.RuntimeException: java.io.IOException: card declined
\tat org.example.Outer.call(O.java:3)
\t... 12 more
Caused by: java.io.IOException: card declined
by the bank
\tat org.example.Bank.ask(B.java:4)
\t... 13 more
"""
LISTENER = b"org.springframework.kafka.listener.ListenerExecutionFailedException"


def spring(message: bytes, thrown: bytes, cause: bytes | None = None, stack: str = STACK) -> Headers:
    headers: Headers = (
        ("kafka_dlt-exception-fqcn", thrown),
        ("kafka_dlt-exception-message", message),
        ("kafka_dlt-exception-stacktrace", stack.encode()),
    )
    return headers if cause is None else (*headers, ("kafka_dlt-exception-cause-fqcn", cause))


def cause_of(headers: Headers) -> tuple[str | None, str | None]:
    failure = read_failure(headers)
    return failure.error_class, failure.message


def test_the_innermost_cause_has_its_whole_message():
    assert innermost_cause(STACK) == ("java.io.IOException", "card declined\nby the bank")


@pytest.mark.parametrize("stack", ["", "java.lang.RuntimeException: a\n\tat b.c(D.java)\n", "\tCaused by: a.B: c"])
def test_a_stack_without_a_cause_has_none(stack):
    assert innermost_cause(stack) is None


def test_a_cause_without_a_message_has_only_a_class():
    assert innermost_cause("a.B: c\nCaused by: d.E\n\tat f.g(H.java)\n") == ("d.E", None)


@pytest.mark.parametrize(
    "wrapper",
    [
        b"org.springframework.kafka.listener.BatchListenerFailedException",
        b"org.springframework.kafka.support.serializer.DeserializationException",
    ],
)
def test_a_wrapper_that_spring_names_as_the_cause_is_none(wrapper):
    expected = ("java.io.IOException", "wrapped: card declined\nby the bank")
    assert cause_of(spring(b"wrapped", LISTENER, wrapper)) == expected
    assert cause_of(spring(b"wrapped", wrapper)) == expected


def test_listener_failed_says_nothing():
    assert cause_of(spring(b"Listener failed", LISTENER, b"java.lang.RuntimeException")) == (
        "java.io.IOException",
        "Listener failed: card declined\nby the bank",
    )


def test_what_an_application_throws_keeps_its_class_and_message():
    assert cause_of(spring(b"order 7", LISTENER, b"org.example.Refused")) == ("org.example.Refused", "order 7")


def test_a_message_that_has_the_cause_s_already_is_kept():
    message = b"Listener failed; card declined\nby the bank"
    assert cause_of(spring(message, LISTENER))[1] == message.decode()


def test_a_converter_s_message_that_ends_in_a_colon_is_ended_by_the_cause():
    headers: Headers = (
        ("__connect.errors.topic", b"payments"),
        ("__connect.errors.exception.class.name", b"org.apache.kafka.connect.errors.DataException"),
        (
            "__connect.errors.exception.message",
            b"Converting byte[] to Kafka Connect data failed due to serialization error: ",
        ),
        (
            "__connect.errors.exception.stacktrace",
            b"org.apache.kafka.connect.errors.DataException: Converting\n\tat a.B(C.java)\n"
            b"Caused by: com.fasterxml.jackson.core.JsonParseException: Unrecognized token 'x'\n\tat d.E(F.java)\n",
        ),
    )
    assert cause_of(headers) == (
        "com.fasterxml.jackson.core.JsonParseException",
        "Converting byte[] to Kafka Connect data failed due to serialization error: Unrecognized token 'x'",
    )
