"""Records that are no orders, and trouble with the buffer: everything is kept, nothing ends."""

from __future__ import annotations

import errno
import re
import shutil
import subprocess

from pipeline.buffer import DeadLetterFilter, OrderFilter
from pipeline.errors import BufferUnavailableError
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.serde import OrderCodec
from pipeline.records import Order
from scripts.waiting import wait_for
from tests.support.running_pipeline import RunningPipeline

NONE = DeadLetterFilter()
SPRING = (
    ("kafka_dlt-original-topic", b"payments"),
    ("kafka_dlt-original-partition", (3).to_bytes(4, "big")),
    ("kafka_dlt-original-offset", (42).to_bytes(8, "big")),
    ("kafka_dlt-exception-fqcn", b"java.lang.IllegalStateException"),
    ("kafka_dlt-exception-message", b"no such account"),
)


def good_value(pipeline: RunningPipeline, **fields) -> bytes:
    order = {"order_id": "O-1", "customer_id": "C-1", "product": "Cup", "price_cents": 500, "created_at_ms": 1} | fields
    return OrderCodec(SchemaStore(pipeline.settings.schemas_dir)).encode(Order(**order))


def dead_letters(pipeline: RunningPipeline, count: int):
    with pipeline.reader() as reader:
        wait_for(f"{count} dead letters", lambda: reader.totals().dead_letters == count)
        return [reader.dead_letter(letter.id) for letter in reader.dead_letters(NONE)]


def test_bytes_that_are_no_order_become_dead_letters_with_every_byte_kept(pipeline):
    values = [
        b"not avro",
        b"",
        None,
        b"\x00\x00\x00\x00\x63abc",
        b"\xc3\x01" + bytes(8) + b"xyz",
        good_value(pipeline)[:-3],
        good_value(pipeline) + b"!",
        b"\xff\xfe\x00",
    ]
    pipeline.send(*((f"k{number}".encode(), value, ()) for number, value in enumerate(values)))
    found = {detail.key: detail for detail in dead_letters(pipeline, len(values))}
    assert [found[f"k{number}".encode()].value for number in range(len(values))] == values
    reasons = [found[f"k{number}".encode()].row.reason for number in range(len(values))]
    for reason, words in zip(
        reasons,
        (
            "begins with",
            "is empty",
            "null (a tombstone)",
            "schema id 99",
            "fingerprint",
            "truncated",
            "trailing",
            "0xff",
        ),
        strict=True,
    ):
        assert words in reason
        assert re.match(r"orders\[\d\] offset \d+: ", reason)


def test_keys_and_header_values_of_any_bytes_are_kept(pipeline):
    headers = (("a", None), ("a", b""), ("a", b"\xff\x00"), ("trace", "ü".encode()))
    pipeline.send((b"\xff\xfe", b"junk", headers), (None, b"junk", ()), (b"", b"junk", ()))
    found = dead_letters(pipeline, 3)
    by_key = {detail.key: detail for detail in found}
    assert set(by_key) == {b"\xff\xfe", None, b""}
    assert by_key[b"\xff\xfe"].headers[:4] == headers


def test_a_header_whose_name_is_not_utf_8_becomes_a_dead_letter_and_blocks_nobody(pipeline):
    kcat = shutil.which("kcat")
    assert kcat, "kcat is needed; `make test` installs it"
    subprocess.run(
        [
            kcat,
            "-P",
            "-b",
            pipeline.cluster.bootstrap_servers,
            "-t",
            "orders",
            "-k",
            "key",
            "-H",
            b"\xff\xfename=value",
        ],
        input=good_value(pipeline),
        check=True,
    )
    pipeline.send((b"C-1", good_value(pipeline), ()))
    [detail] = dead_letters(pipeline, 1)
    assert (detail.key, detail.value) == (b"key", good_value(pipeline))
    assert "header" in detail.row.reason
    with pipeline.reader() as reader:
        wait_for("the good one", lambda: reader.totals().orders == 1)


def test_a_record_of_five_megabytes_is_kept_whole(pipeline):
    value = b"\x7b" * 4_900_000
    pipeline.send((b"big", value, ()))
    [detail] = dead_letters(pipeline, 1)
    assert detail.value == value


def test_dead_letters_of_other_programs_are_collected_once_and_replayed_to_their_own_topic(pipeline):
    pipeline.send(
        (b"k", b"payload", SPRING),
        (b"k", b"payload", SPRING),  # written twice, as after a crash of its writer
        (b"other", b"no headers at all", ()),
        topic="orders-dlq",
    )
    found = {detail.row.dialect: detail for detail in dead_letters(pipeline, 2)}
    spring = found["spring-kafka"]
    assert spring.row.source == "payments[3] offset 42"
    assert spring.row.reason == "no such account"
    assert found["none"].value == b"no headers at all"
    assert pipeline.command("replay", "--id", str(spring.row.id)).returncode == 0
    with pipeline.reader() as reader:
        assert reader.replays_of(spring.row.id).column("topic") == ["payments"]
        assert reader.dead_letter(spring.row.id).row.status == "replayed"


def test_dead_letters_are_collected_once_across_restarts(pipeline):
    pipeline.command("produce", "--count", "50", "--invalid-share", "1")
    wait_for("50 dead letters", lambda: pipeline.settled() == 50)
    pid = pipeline.role("collector").pid
    pipeline.kill("collector")
    wait_for("its return", lambda: any(r.role == "collector" and r.pid != pid for r in pipeline.running()))
    pipeline.command("produce", "--count", "10", "--invalid-share", "1")
    wait_for("60 dead letters", lambda: pipeline.settled() >= 60)
    assert pipeline.settled() == 60


def test_a_topic_pattern_finds_topics_that_come_while_running(pipeline_with):
    pipeline = pipeline_with(dlq_topics="orders-dlq,^.*[.]DLT$")
    pipeline.up()
    pipeline.send((b"k", b"v", SPRING), topic="payments.DLT")
    [detail] = dead_letters(pipeline, 1)
    assert detail.row.topic == "payments.DLT"


def test_a_corrupt_buffer_is_named_and_the_pipeline_goes_on_once_it_is_moved_away(pipeline):
    pipeline.command("produce", "--count", "20")
    wait_for("20 orders", lambda: pipeline.settled() == 20)
    file = pipeline.settings.database_file
    for each in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
        each.unlink(missing_ok=True)
    file.write_bytes(b"this is no database" * 1000)
    wait_for("the complaint", lambda: "damaged" in pipeline.role("processor").detail)
    assert pipeline.role("processor").state == "failing"
    refused = pipeline.command("produce", "--count", "1")
    assert refused.returncode == 1
    assert len(refused.stderr.strip().splitlines()) == 1
    file.unlink()
    # What Kafka still holds is read again.
    wait_for("the orders again", lambda: _orders(pipeline) == 20)


def test_a_full_disk_stops_the_flow_with_a_reason_and_loses_nothing(pipeline_with):
    pipeline = pipeline_with(alert_disk_share=0.8, alert_hold_s=0)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(pipeline.data_dir)], check=True, capture_output=True
    )
    try:
        pipeline.up()
        filler = pipeline.data_dir / "filler"
        queued = pipeline.command("produce", "--count", "3000", "--rate", "500", "--no-wait")
        assert queued.returncode == 0, queued.stderr
        wait_for("some orders", lambda: _orders(pipeline) > 100)
        _fill(filler, leave_bytes=9_000_000)
        wait_for("the alert before it", lambda: "disk-full" in pipeline.firing())
        _fill(filler)
        wait_for("the complaint", lambda: "full" in pipeline.role("processor").detail)
        filler.unlink()
        wait_for("every order", lambda: _orders(pipeline) == 3000)
        wait_for("the end of the alert", lambda: "disk-full" not in pipeline.firing())
    finally:
        pipeline.end()
        subprocess.run(["umount", str(pipeline.data_dir)], check=True)


def _fill(path, leave_bytes: int = 0) -> None:
    """Takes the disk's space, but for so much."""
    with path.open("ab", buffering=0) as file:
        while shutil.disk_usage(path.parent).free > leave_bytes:
            try:
                file.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017 - somebody else took the last page
                return


def _orders(pipeline: RunningPipeline) -> int:
    try:
        with pipeline.reader() as reader:
            return reader.totals().orders
    except BufferUnavailableError:
        return 0  # it is being made


def test_rules_name_the_place_the_value_and_the_limit(pipeline):
    pipeline.send((b"C-1", good_value(pipeline, price_cents=-300), ()))
    [detail] = dead_letters(pipeline, 1)
    assert re.fullmatch(
        r"orders\[\d\] offset 0: price -3\.00 is below the minimum 0\.01 \(rule price\)", detail.row.reason
    )
    with pipeline.reader() as reader:
        assert reader.orders(OrderFilter()).rows == []
