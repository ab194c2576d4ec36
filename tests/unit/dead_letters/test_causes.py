"""Failures of one cause share a fingerprint; failures of different rules never do."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dead_letters.causes import TITLE_LIMIT, fingerprint, template
from pipeline.dead_letters.causes.remembered import Remembered
from pipeline.dead_letters.causes.templates import MESSAGE_LIMIT, _made

maybe_text = st.none() | st.text(max_size=20)


def group(reason: str, stacktrace: str | None = None) -> str:
    return fingerprint("Error", reason, "price", "orders", stacktrace).fingerprint


def title(reason: str) -> str:
    return fingerprint("Error", reason, "price", "orders").title


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "orders[2] offset 417: price -3.00 is below the minimum 0.01 (rule price)",
            "orders-eu.v1[11] offset 9: price 0.00 is below the minimum 0.01 (rule price)",
        ),
        ("order ORD-12-000031 is unknown", "order 17 is unknown"),
        ("customer CUST-7 is blocked", "customer 01F8MECHZX3TBDSZ7XRADM79XV is blocked"),
        ("no 3f2504e0-4f89-11d3-9a0c-0305e82c3301 here", "no b9pX4n-_2 here"),
        ("value begins with 0x7b: no framing", "value begins with 0xc302: no framing"),
        ("java.lang.Object@1a2b3c4d is no order", "java.lang.Object@ffeeddcc1 is no order"),
        ("product 'Tea' is not a known product", "product 'Mate 2.0' is not a known product"),
        ("product 'Tea' is not a known product", "product Tea is not a known product"),
        ('cannot parse "a b c"', 'cannot parse "12"'),
        ("expired at 2026-01-02T03:04:05.678Z already", "expired at 2025-12-31 23:59:59+01:00 already"),
        ("took 1.5ms", "took 1200ms"),
        ("timeout after 30 ms", "timeout  after\n1,250.5 ms"),
        ("GET https://shop.example/orders/12?full=yes failed", "GET http://10.0.0.3:8080/x failed"),
        ("cannot open /var/lib/shop/state", "cannot open /srv/a/b/c.json"),
        ("cannot reach db.internal", "cannot reach 10.2.3.4:5432"),
        ("no mailbox ada@shop.example", "no mailbox bob+x@mail.shop.org"),
        ("pod orders-7d9f8b6c5-x2x4z is gone", "pod 12 is gone"),
        ("unknown items [1, 2, 3]", "unknown items []"),
        ("unknown items ['a', 'b']", "unknown items [7]"),
        ("no stock for 1, 2 and 3", "no stock for 12"),
        ('rejected: {"id": 7, "lines": [{"sku": "a"}]}', 'rejected: {"id": 8}'),
        ("""rejected: '{"note": "it's late"}'""", """rejected: '{"note": "x", "more": {}}'"""),
        (
            "new row\nDETAIL:  Failing row contains (1, Tea, null).",
            "new row\nDETAIL:  Failing row contains (x (y), 2).",
        ),
        ("Key (order_id)=(a) already exists.", "Key (order_id)=(b (c), 1) already exists."),
        ("SELECT x FROM t WHERE id IN (?, ?, ?)", "SELECT x FROM t WHERE id IN (?)"),
        ("No enum constant com.example.Status.SHIPED", "No enum constant com.example.Status.PAYED"),
        ("Ada Lovelace is blocked since 3", "Søren Ångström is blocked since 4"),
    ],
)
def test_messages_that_differ_in_their_values_only_are_one_group(one: str, other: str) -> None:
    assert title(one) == title(other)
    assert group(one) == group(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("price 1 is below the minimum 2", "price 1 is above the maximum 2"),
        ("order_id is empty", "customer_id is empty"),
        ("order_id has a negative length (-5)", "product has a negative length (-5)"),
        ("can't read what they won't write", "can't send what they won't write"),
        ("sha256 differs", "sha512 differs"),
        ("the facade is added", "the decade is added"),
        ("Request failed with status code 404", "Request failed with status code 503"),
        ("HTTP/1.1 404 for url x", "HTTP/1.1 500 for url x"),
        ("404 Client Error: Not Found for url: /a", "403 Client Error: Forbidden for url: /a"),
        ("failed (SQLSTATE 23505)", "failed (SQLSTATE 23503)"),
        ("SQL Error: 1062, SQLState: 23000", "SQL Error: 1452, SQLState: 23000"),
        ("ORA-00001: violated", "ORA-02291: violated"),
        ("[Errno 111] connect", "[Errno 113] connect"),
        ("E11000 in shop index: email_1", "E11000 in shop index: phone_1"),
        ('null value in column "price"', 'null value in column "name"'),
        ('Unrecognized field "address1" (class Order)', 'Unrecognized field "address2" (class Order)'),
        ("'price' is a required property", "'name' is a required property"),
        ('violates unique constraint "orders_pkey"', 'violates unique constraint "orders_email_key"'),
        ("failed to parse field [price] of type [double]", "failed to parse field [day] of type [date]"),
        ("Topic orders-v1 not present in metadata", "Topic orders-v2 not present in metadata"),
        ("{'price': ['Not a valid number.']}", "{'name': ['Missing data for required field.']}"),
        ('rejected: {"code": "RATE_LIMIT"}', 'rejected: {"code": "NO_ACCESS"}'),
        ('details = "no route to host"', 'details = "connection was reset"'),
        ("Caused by XError('connection refused here')", "Caused by XError('name is not known')"),
        ('Cannot invoke "a.B.c()" because "order" is null', 'Cannot invoke "a.B.c()" because "buyer" is null'),
    ],
)
def test_messages_that_say_different_things_are_different_groups(one: str, other: str) -> None:
    assert group(one) != group(other)


def test_a_group_s_title_shows_where_the_values_were() -> None:
    assert title("price -3.00 is below 'the limit' at 10.0.0.1:80") == "price <value> is below <value> at <value>"


def test_the_place_that_a_message_begins_with_is_no_part_of_the_cause() -> None:
    assert (
        title("orders[2] offset 417: price -3 is below the minimum 0.01")
        == "price <value> is below the minimum <value>"
    )


@settings(max_examples=200)
@given(
    st.text(max_size=50), st.tuples(maybe_text, maybe_text, maybe_text), st.tuples(maybe_text, maybe_text, maybe_text)
)
def test_only_failures_of_one_class_rule_and_topic_share_a_group(
    reason: str, one: tuple[str | None, str | None, str | None], other: tuple[str | None, str | None, str | None]
) -> None:
    prints = [fingerprint(error_class, reason, rule, topic).fingerprint for error_class, rule, topic in (one, other)]
    assert (prints[0] == prints[1]) == (one == other)


@settings(max_examples=300)
@given(maybe_text, st.text(), maybe_text, maybe_text, st.none() | st.text())
def test_any_failure_has_a_fingerprint_and_a_short_title_that_stay(
    error_class: str | None, reason: str, rule: str | None, topic: str | None, stacktrace: str | None
) -> None:
    digest, name = fingerprint(error_class, reason, rule, topic, stacktrace)
    assert re.fullmatch("[0-9a-f]{16}", digest)
    assert 0 < len(name) <= TITLE_LIMIT
    assert fingerprint(error_class, reason, rule, topic, stacktrace) == (digest, name)


@settings(max_examples=200)
@given(st.integers(-(10**30), 10**30), st.integers(0, 10**12), st.uuids())
def test_no_number_or_uuid_splits_a_group(price: int, offset: int, trace: object) -> None:
    assert group(f"orders[0] offset {offset}: {price} in {trace}") == group("orders[0] offset 1: 2 in 3")


PIECES = (
    ["0", "1", "9", "12", "00000000", "٣", "²", "_", "é", "a", "A", "f", "x", "AB", "deadbeef1", "0x", "1x", "0X", "7b"]
    + [" ", "-", ".", ",", ":", "@", "[", "]", "] offset ", "'", '"', "{", "}", "orders", "T03:04:05", "2026-01-02"]
    + ["ORD-1", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "status ", "code=", "404", "500 Not Found", "errno ", "field "]
    + [
        "index: ",
        "a_1",
        "sha256",
        "utf-8",
        "ORA-00001",
        "E11000",
        "error ",
        "SQLSTATE ",
        "23505",
        '"code": 42',
        "/",
        "a/b/c",
    ]
)


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), st.booleans())
def test_what_is_remembered_of_a_message_is_what_one_with_other_digits_would_give(
    message: str, of_program: bool
) -> None:
    # Remembers what all of these digits come to, if they do not matter.
    template(message.translate(str.maketrans("0123456789", "7777777777")), of_program)
    assert template(message, of_program) == _made(message, of_program)


@pytest.mark.parametrize(
    "piece", ["1", "a", "0x", "'", '"', "-", "A-1", "1,", "[0]", "a[1] offset ", "f", " ", "é", "{"]
)
def test_of_a_long_message_only_the_beginning_is_looked_at(piece: str) -> None:
    beginning = (piece * MESSAGE_LIMIT)[:MESSAGE_LIMIT]
    longer = [f"{beginning}{rest}" for rest in (piece, " and more", "\n", "'", "}")]
    assert {template(message) for message in longer} == {template(beginning)}


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "1",
        "-",
        ".",
        "a.",
        "a.1",
        ":",
        "'",
        '"',
        "'a ",
        '"\\',
        "`",
        "[",
        "[[",
        "]",
        "(",
        "{",
        "}",
        "{'a':",
        "/a",
        "a/",
        "\\a",
    ]
    + [
        "http://",
        "a@",
        "a@b.",
        "Aa ",
        "Aa'",
        "A/",
        ")=(",
        "=",
        "x=",
        "\x1a",
        "\x1a ",
        "é",
        "0x",
        "code ",
        "status 4",
        "\n",
        " ",
    ]
    + [
        "\n\tat a.b.c(D.java:1)",
        "\nCaused by: ",
        '\n  File "',
        "\n    at ",
        " ---> ",
        "\n   at A.B(",
        "a.go:1\n\t",
        "; nested exception is ",
    ],
)
def test_whatever_a_megabyte_is_made_of_takes_no_time(piece: str) -> None:
    """A pattern that goes back and forth would take minutes for it; what is cut takes a few milliseconds."""
    hostile = piece * (1_000_000 // len(piece))
    begin_s = time.process_time()
    fingerprint("Error", hostile, None, None, f"Error: {hostile}")
    fingerprint("Error", "x", None, None, f"{hostile}\n\tat a.B.c(D.java:1)")
    fingerprint("Error", "x", None, None, f'Traceback (most recent call last):\n  File "a", line 1, in b\n{hostile}')
    fingerprint("Error", "x", None, None, f"{hostile}\n    at a (/a/b.js:1:2)")
    fingerprint("Error", "x", None, None, f"goroutine 1\n{hostile}\nmain.a()\n\t/a/b.go:1")
    assert time.process_time() - begin_s < 2


def test_so_much_is_remembered_and_no_more() -> None:
    some = Remembered[int, int](3)
    for number in range(5):
        some.keep(number, -number)
    assert [some.get(number) for number in range(5)] == [None, None, -2, -3, -4]


def test_what_follows_the_beginning_of_a_message_makes_no_group_of_its_own() -> None:
    beginning = "no " * MESSAGE_LIMIT
    assert group(beginning) == group(beginning + "stock") == group(beginning[:MESSAGE_LIMIT])
    assert group(beginning[: MESSAGE_LIMIT - 9]) != group(beginning[:MESSAGE_LIMIT])


def test_a_failure_without_a_word_still_has_a_title() -> None:
    assert fingerprint(None, "", None, None).title == "no reason"
    assert fingerprint("TimeoutException", " ", None, None).title == "TimeoutException"


@pytest.mark.parametrize("reason", ["no failure headers", "no failure headers, no value", "karafka gives no reason"])
def test_letters_that_nobody_gives_a_reason_for_are_one_group_a_dead_letter_topic(reason: str) -> None:
    def of_topic(topic: str) -> str:
        return fingerprint(None, reason, None, None, None, topic).fingerprint

    assert of_topic("orders-dlq") == of_topic("orders-dlq") != of_topic("payments-dlq")
    told = [fingerprint("Error", "no stock", None, None, None, topic).fingerprint for topic in ("a", "b")]
    assert told[0] == told[1]
