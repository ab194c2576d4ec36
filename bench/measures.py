"""The measurements: each starts the roles it needs on a Kafka of its own topic and returns lines for the table."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from bench.cold import first_figure_s
from bench.growth import grow
from bench.handlers import NAME as FAILING_HANDLER
from bench.letter_search import measured
from bench.letters import LetterLoad, fill_buffer
from bench.orders import PARTITIONS, Load, fill, make_topic
from bench.roles import LIMIT_S, LOOK_EVERY_S, Buffer, Rate, Role, rate_until
from bench.texts import measure_texts
from pipeline.buffer import open_buffer
from pipeline.running.statusboard import read_roles
from scripts.local.registry import ApicurioRegistry
from scripts.waiting import wait_for

PEERS_PYTHON = Path(".venv-bench/bin/python")
PEERS = {"Quix Streams": "bench.peers.quix", "FastStream": "bench.peers.fast_stream"}
SHOP = Path("bench/shop/mapping.toml")
"""The sections by which the shop's orders in other formats are read."""
FORMATS = {"avro": (0.6, 2.0), "json": (0.5, 1.5), "protobuf": (0.4, 2.0)}
"""What of the default mapping's rate is to be reached, and how many times that of FastStream."""
PEER_ORDERS = 300_000
IDLE_S = 20
TEXT_LETTERS = 1_000_000
LATENCY_S = 15
QUIET_PER_S = 1000.0
TURNS = 2
SEARCHED = 1_000_000
"""Dead letters that queries look for."""
COLD_STARTS = 3
SETTLED_S = 0.1
"""CPU time in a second at which roles have started and nothing is left to do."""
HELD_AT_MOST_MS = 200_000
LOOSE_RULES = "required = []\nprice_min = 0\nprice_max = 1000000\nmax_ahead_s = 600\n"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. `met` None: there is no target."""

    what: str
    measured: str
    target: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Size:
    """How many orders to catch up with, how many for the processor's memory, how many rows a buffer grows to, and how
    many dead letters there are."""

    orders: int
    many: int
    rows: int
    letters: int = 1_000_000


class Setup:
    """A Kafka, a folder, and how big the measurements are to be."""

    def __init__(self, servers: str, folder: Path, size: Size) -> None:
        self.servers = servers
        self.folder = folder
        self.orders = size.orders
        self.many = size.many
        self.rows = size.rows
        self.letters = size.letters
        self.top_per_s = 0.0
        self._filled: set[str] = set()
        self._letters: dict[int, Path] = {}

    def settings(self, topic: str, **more: str) -> dict[str, str]:
        """Settings of a pipeline on one topic."""
        return {
            "BOOTSTRAP_SERVERS": self.servers,
            "ORDERS_TOPIC": topic,
            "DLQ_TOPICS": f"{topic}-dlq",
            "GROUP_ID": f"bench-{topic}-{time.time_ns()}",
        } | more

    def data(self, name: str) -> Path:
        """A data folder."""
        return self.folder / name

    def fill(self, topic: str, load: Load) -> None:
        """A topic of four partitions with a load in it, unless an earlier measurement has made it."""
        if topic not in self._filled:
            make_topic(self.servers, topic)
            fill(self.servers, load, topic)
            self._filled.add(topic)

    def letters_file(self, name: str, count: int) -> Path:
        """A buffer of its own with so many dead letters, which minutes are spent on once for all measurements."""
        if count not in self._letters:
            self._letters[count] = self.folder / f"{count}-letters.db"
            fill_buffer(self._letters[count], LetterLoad(count))
        return Path(shutil.copyfile(self._letters[count], self.folder / f"{name}.db"))


def catch_up(setup: Setup) -> Iterator[Line]:
    """Orders that are there already, as fast as they can be taken in; the limit and the peers in turn with us."""
    topic, count = "catch-up", setup.orders
    setup.fill(topic, Load(count))
    ours, limits = [], []
    for turn in range(TURNS):
        ours.append(_processed(setup, topic, f"catch-up-{turn}", count))
        limits.append(_asked([sys.executable, "-m", "bench.bare"], setup, topic, count))
    rate, limit = max(ours, key=lambda each: each.per_s), max(limits, key=lambda each: each["per_s"])
    setup.top_per_s = rate.per_s
    yield Line("catch-up, orders/s", f"{rate.per_s:,.0f} ({rate.cpu_us:.1f} µs CPU each)")
    yield Line("bare loop, orders/s", f"{limit['per_s']:,.0f} ({limit['cpu_us']:.1f} µs CPU each)")
    yield _at_least("catch-up / bare loop", rate.per_s / limit["per_s"], 0.60, "{:.0%}")
    yield _at_most("processor memory, MB", rate.memory_mb, 200)
    for name, module in PEERS.items():
        peer = _asked_peer(module, setup, topic)
        yield _peer_line(f"{name}, orders/s", peer)
        yield _at_least(f"catch-up / {name}", rate.per_s / peer["per_s"], 10, "{:.1f} x")


def memory(setup: Setup) -> Iterator[Line]:
    """What a processor holds after a tenth of many orders, and after all of them."""
    topic, count = "memory", setup.many
    setup.fill(topic, Load(count))
    data, settings = setup.data(topic), setup.settings(topic)
    buffer = Buffer(data)
    with Role("processor", data, settings) as role:
        early = rate_until(count // 10, buffer.orders, [role])
        late = rate_until(count, buffer.orders, [role])
    after = f"{count // 10:,} and {count:,} orders"
    yield Line(f"processor memory at most, up to {after}, MB", f"{early.memory_mb:.1f}, {late.memory_mb:.1f}")
    yield _at_most("processor memory over all of them, MB", late.memory_mb, 200)
    yield Line("catch-up over all of them, orders/s", f"{late.per_s:,.0f} ({late.cpu_us:.1f} µs CPU each)")


def formats(setup: Setup) -> Iterator[Line]:
    """The same order with 20 nested fields in formats that are not ours, in turn with the default mapping."""
    count, own = setup.orders, "catch-up"
    setup.fill(own, Load(count))
    with ApicurioRegistry(setup.folder) as registry:
        for each in FORMATS:
            make_topic(setup.servers, f"shop-{each}")
            _peer("bench.shop.write", setup.servers, registry.url, each, f"shop-{each}", str(count))
        how = {"MAPPING_FILE": str(SHOP), "SCHEMA_REGISTRY_URL": registry.url}
        rates: dict[str, list[Rate]] = {own: [], **{each: [] for each in FORMATS}}
        for turn in range(TURNS):
            rates[own].append(_processed(setup, own, f"beside-formats-{turn}", count))
            for each in FORMATS:
                rates[each].append(_processed(setup, f"shop-{each}", f"{each}-{turn}", count, **how))
        best = {each: max(found, key=lambda rate: rate.per_s) for each, found in rates.items()}
        yield _rate_line("default mapping, in turn with other formats, orders/s", best[own])
        for each, (goal, beside) in FORMATS.items():
            rate, name = best[each], each.capitalize() if each != "json" else "JSON"
            yield _rate_line(f"{name} of 20 nested fields by a mapping, orders/s", rate)
            yield _at_least(f"{name} / default mapping", rate.per_s / best[own].per_s, goal, "{:.0%}")
            peer = _asked_peer("bench.peers.fast_stream", setup, f"shop-{each}", each, registry.url)
            yield _peer_line(f"{name} by FastStream, orders/s", peer)
            yield _at_least(f"{name} / FastStream", rate.per_s / peer["per_s"], beside, "{:.1f} x")
            yield _at_most(f"{name}, processor memory, MB", max(each.memory_mb for each in rates[each]), 200)


def failures(setup: Setup) -> Iterator[Line]:
    """The same with 5 % that fail once (backoff 2 s) and 1 % dead letters, all of them collected meanwhile."""
    topic, count = "failures", setup.orders
    setup.fill(topic, Load(count, transient_share=0.05, invalid_share=0.01))
    without, failing = [], []
    for turn in range(TURNS):
        without.append(_processed(setup, "catch-up", f"without-{turn}", count))
        # To 97 % of what is accepted in the end: the last retries only wait for their time.
        accepted = int(count * 0.99 * 0.97)
        how = {"RETRY_PRESET": "fixed", "HANDLER": FAILING_HANDLER}
        failing.append(_processed(setup, topic, f"failures-{turn}", accepted, **how))
    best, plain = max(failing, key=lambda each: each.per_s), max(without, key=lambda each: each.per_s)
    yield Line("with failures, orders/s", f"{best.per_s:,.0f} ({best.cpu_us:.1f} µs CPU each)")
    yield Line("without, in turn with it", f"{plain.per_s:,.0f} ({plain.cpu_us:.1f} µs CPU each)")
    yield _at_least("with failures / without", best.per_s / plain.per_s, 0.90, "{:.0%}")
    yield _at_most("processor memory with failures, MB", best.memory_mb, 200)


def latency(setup: Setup) -> Iterator[Line]:
    """From an order's creation until a query finds it, at a quiet rate and at half the top rate."""
    for per_s, goals in ((QUIET_PER_S, (25, 100)), (setup.top_per_s / 2, (None, 500))):
        p50, p99 = _latencies(setup, per_s)
        what = f"created to queryable at {per_s:,.0f}/s"
        yield _at_most(f"{what}, p50 ms", p50, goals[0]) if goals[0] else Line(f"{what}, p50 ms", f"{p50:,.0f}")
        yield _at_most(f"{what}, p99 ms", p99, goals[1])


def idle(setup: Setup) -> Iterator[Line]:
    """What all roles together take of one core while nothing happens."""
    make_topic(setup.servers, "idle")
    data, settings = setup.data("idle"), setup.settings("idle")
    with (
        Role("processor", data, settings) as one,
        Role("collector", data, settings) as two,
        Role("worker", data, settings) as three,
    ):
        buffer = Buffer(data)
        roles = (one, two, three)
        wait_for("its partitions", lambda: len(buffer.next_offsets()) == PARTITIONS, LIMIT_S)
        wait_for("roles that have settled", lambda: _cpu_over(roles, 1.0) < SETTLED_S, 120)
        spent_s = _cpu_over(roles, IDLE_S)
    yield _at_most("idle, % of one core", spent_s / IDLE_S * 100, 2)


def sending(setup: Setup) -> Iterator[Line]:
    """Sample orders through a job."""
    count = min(setup.orders, 500_000)
    data, settings = setup.data("produce"), setup.settings("produced")
    make_topic(setup.servers, "produced")
    with Role("worker", data, settings) as role:
        wait_for("the buffer", lambda: Buffer(data).file.exists(), LIMIT_S)
        before_s = role.cpu_s()
        _command(data, settings, "produce", "--count", str(count))
        cpu_us = (role.cpu_s() - before_s) / count * 1e6
    yield Line("one sample order, µs CPU", f"{cpu_us:.1f}")
    yield _at_least("sample orders produced, /s", _job_rate(Buffer(data), "done"), 100_000, "{:,.0f}")


def dead_letters(setup: Setup) -> Iterator[Line]:
    """Dead letters collected, and replayed until the outcome of each is known."""
    letters = min(setup.orders // 5, 60_000)
    data, settings = setup.data("letters"), setup.settings("letters")
    setup.fill("letters", Load(letters, invalid_share=1.0))
    buffer = Buffer(data)
    with Role("processor", data, settings) as role:
        rate = rate_until(letters, lambda: sum(buffer.next_offsets()), [role])
        wait_for("an empty outbox", lambda: buffer.reader.outbox_count() == 0, LIMIT_S)
    yield Line("nothing but dead letters, records/s", f"{rate.per_s:,.0f} ({rate.cpu_us:.1f} µs CPU each)")
    with Role("collector", data, settings) as role:
        rate = rate_until(letters, buffer.dead_letters, [role])
    yield Line("one dead letter collected, µs CPU", f"{rate.cpu_us:.1f}")
    yield _at_least("dead letters collected, /s", rate.per_s, 20_000, "{:,.0f}")

    rules = setup.folder / "loose-rules.toml"
    rules.write_text(LOOSE_RULES)
    loose = settings | {"RULES_FILE": str(rules)}
    with Role("processor", data, loose) as one, Role("worker", data, loose) as two:
        wait_for("roles that have settled", lambda: _cpu_over((one, two), 1.0) < SETTLED_S, 120)
        before_s = one.cpu_s() + two.cpu_s()
        _command(data, loose, "replay", "--all", "--no-wait")
        wait_for(
            "the outcome of each",
            lambda: buffer.reader.status_counts().get("recovered", 0) == letters,
            LIMIT_S,
            LOOK_EVERY_S,
        )
        # From the moment at which it was asked for, so that putting all of them into the ledger counts as well.
        per_s = letters / (time.time() - buffer.reader.jobs(1)[0].created_at_ms / 1000)
        cpu_us = (one.cpu_s() + two.cpu_s() - before_s) / letters * 1e6
    yield Line("one replay with its outcome, µs CPU", f"{cpu_us:.1f}")
    yield _at_least("dead letters replayed with outcome, /s", per_s, 10_000, "{:,.0f}")


def growth(setup: Setup) -> Iterator[Line]:
    """Inserting into a big buffer against a small one."""
    found = grow(setup.folder / "growth.db", setup.rows)
    yield Line(
        "insert, µs CPU", f"{found.first_us:.1f} at first, {found.last_us:.1f} at {found.rows / 1e6:,.0f} million"
    )
    yield _at_least("insert rate when big / at first", found.first_us / found.last_us, 0.80, "{:.0%}")
    yield _at_most("bytes on disk an order", found.bytes_an_order, 160)
    yield Line(
        "what a refresh of the Overview asks, ms",
        f"{found.small_overview_ms:.1f} at 100,000, {found.big_overview_ms:.1f} at {found.rows / 1e6:,.0f} million",
    )
    yield _at_most("Overview when big / at 100,000", found.big_overview_ms / found.small_overview_ms, 1.5)


def letters_on_disk(setup: Setup) -> Iterator[Line]:
    """What a dead letter takes on disk, and how fast all are read whole."""
    file = setup.letters_file("letters", setup.letters)
    what = f"of {setup.letters:,} dead letters of {LetterLoad(1).causes} causes"
    yield _at_most(f"bytes on disk each {what}", file.stat().st_size / setup.letters, 700)
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        before_s = time.process_time()
        connection.execute("SELECT max(length(headers)), max(length(stacktrace)) FROM dead_letters").fetchone()
        each_us = (time.process_time() - before_s) / setup.letters * 1e6
    yield Line("headers and stack trace of one read whole, µs CPU", f"{each_us:.1f}")


def cold_start(setup: Setup) -> Iterator[Line]:
    """From `make run` on an empty data folder until the first figure is on the page, the button pressed at once."""
    took_s = [first_figure_s(setup.data(f"cold-{turn}")) for turn in range(COLD_STARTS)]
    each = ", ".join(f"{seconds:.1f}" for seconds in took_s)
    yield _at_most(f"cold start to the first figure, s, in the middle of {each}", statistics.median(took_s), 5)


def texts(setup: Setup) -> Iterator[Line]:
    """Dead letters found by text. Needs no Kafka: the buffer is filled as a collector does it."""
    file = setup.letters_file("texts", TEXT_LETTERS)
    found = measure_texts(file, TEXT_LETTERS)
    of = f"of {TEXT_LETTERS:,} dead letters"
    yield _at_most(f"found by text {of}, p95, ms CPU", found.p95_ms, 150)
    yield Line(f"the same with facets {of}, p95, ms CPU", f"{found.with_facets_p95_ms:,.0f}")
    yield Line("the query that takes longest, ms CPU", f"{found.longest[1]:,.0f} ({found.longest[0]})")
    yield _at_most("index of texts, bytes a dead letter", found.index_bytes, 250)
    yield Line("indexing, µs CPU a dead letter", f"{found.index_us:.0f}")
    yield _at_most("the longest step of that, ms CPU", found.longest_step_ms, 100)


def several(setup: Setup) -> Iterator[Line]:
    """Two processors on one buffer: SQLite has one writer, so what they share is the reading and decoding.

    The model: each order costs `write` in the one writer and the rest of its CPU time elsewhere; n processors with a
    core for every thread do 1 / max(write, rest / n).
    """
    ones, twos = [], []
    for turn in range(TURNS):
        ones.append(_beside_each_other(setup, f"one-{turn}", 1))
        twos.append(_beside_each_other(setup, f"two-{turn}", 2))
    one, two = max(ones, key=lambda each: each.per_s), max(twos, key=lambda each: each.per_s)
    yield Line("one processor that has its partitions, orders/s", f"{one.per_s:,.0f} ({one.cpu_us:.1f} µs CPU each)")
    yield Line("two processors that have theirs, orders/s", f"{two.per_s:,.0f} ({two.cpu_us:.1f} µs CPU each)")
    yield Line("two processors / one", f"{two.per_s / one.per_s:.0%}")
    write_us = grow(setup.folder / "writer.db", min(setup.orders, 500_000)).last_us
    rest_us = max(0.0, one.cpu_us - write_us)
    yield Line("of one order, µs CPU", f"{write_us:.1f} in the writer, {rest_us:.1f} elsewhere")
    for processors in (1, 2, 3):
        per_s = 1e6 / max(write_us, rest_us / processors)
        yield Line(f"model: processors {processors}, a core for each thread, orders/s", f"{per_s:,.0f}")


# ---- how


def _processed(setup: Setup, topic: str, name: str, until: int, **settings: str) -> Rate:
    data, asked = setup.data(name), setup.settings(topic, **settings)
    with Role("processor", data, asked) as role, Role("collector", data, asked):
        return rate_until(until, Buffer(data).orders, [role])


def _beside_each_other(setup: Setup, topic: str, processors: int) -> Rate:
    """A backlog that comes to be while they are held, each with its partitions: joining a group takes seconds."""
    make_topic(setup.servers, topic)
    data = setup.data(topic)
    settings = setup.settings(topic, KAFKA_CONFIG=json.dumps({"session.timeout.ms": HELD_AT_MOST_MS}))
    with ExitStack() as running:
        roles = [running.enter_context(Role("processor", data, settings, each)) for each in range(processors)]
        shares = [PARTITIONS // processors] * processors
        wait_for("partitions for each", lambda: _partitions_of_each(data) == shares, LIMIT_S)
        for role in roles:
            role.hold()
        fill(setup.servers, Load(setup.orders), topic)
        for role in roles:
            role.go_on()
        return rate_until(setup.orders, Buffer(data).orders, roles)


def _partitions_of_each(data: Path) -> list[int]:
    return [len(status.figures.get("partitions", {})) for status in read_roles(data)]


def _peer(module: str, *arguments: str) -> None:
    subprocess.run([str(PEERS_PYTHON), "-m", module, *arguments], check=True, stdout=subprocess.DEVNULL, timeout=1800)


def _asked_peer(module: str, setup: Setup, topic: str, *more: str) -> dict[str, float]:
    count = min(setup.orders, PEER_ORDERS)
    return _asked([str(PEERS_PYTHON), "-m", module], setup, topic, count, *more)


def _rate_line(what: str, rate: Rate) -> Line:
    return Line(what, f"{rate.per_s:,.0f} ({rate.cpu_us:.1f} µs CPU each)")


def _peer_line(what: str, peer: dict[str, float]) -> Line:
    return Line(what, f"{peer['per_s']:,.0f} ({peer['cpu_us']:.1f} µs CPU each)")


def _asked(command: list[str], setup: Setup, topic: str, count: int, *more: str) -> dict[str, float]:
    """What another program prints of itself in its last line."""
    database = setup.folder / f"{time.time_ns()}.db"
    done = subprocess.run(
        [*command, setup.servers, topic, str(count), str(database), *more], capture_output=True, text=True, timeout=1800
    )
    if not done.stdout:
        raise RuntimeError(done.stderr[-2000:])
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _command(data: Path, settings: dict[str, str], *arguments: str) -> None:
    environment = os.environ | {f"ORDERPULSE_{key}": value for key, value in settings.items()}
    environment["ORDERPULSE_DATA_DIR"] = str(data)
    subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL
    )


def _job_rate(buffer: Buffer, state: str) -> float:
    job = buffer.reader.jobs(1)[0]
    assert job.state == state, f"the job is {job.state}: {job.error}"
    assert job.finished_at_ms is not None
    assert job.started_at_ms is not None
    return job.done / (job.finished_at_ms - job.started_at_ms) * 1000


def _cpu_over(roles: Sequence[Role], seconds: float) -> float:
    """CPU time that roles take within so many seconds."""
    before, end = sum(role.cpu_s() for role in roles), time.monotonic() + seconds
    wait_for("the end of the time", lambda: time.monotonic() >= end, seconds + 60, LOOK_EVERY_S)
    return sum(role.cpu_s() for role in roles) - before


def _latencies(setup: Setup, per_s: float) -> tuple[float, float]:
    topic = f"latency-{per_s:.0f}"
    make_topic(setup.servers, topic)
    data, settings = setup.data(topic), setup.settings(topic)
    with Role("processor", data, settings):
        buffer = Buffer(data)
        wait_for("its partitions", lambda: len(buffer.next_offsets()) == PARTITIONS, LIMIT_S)
        before = buffer.orders()
        source = subprocess.Popen(
            [sys.executable, "-m", "bench.orders", setup.servers, topic, str(per_s), str(LATENCY_S)]
        )
        wait_for("the first order", lambda: buffer.orders() > before, LIMIT_S, LOOK_EVERY_S)
        # Looking takes CPU time as well, of which there is little left at a high rate.
        found = _watched(buffer.file, look_every_s=0.002 if per_s <= QUIET_PER_S else 0.02)
        source.wait()
    found.sort()
    return statistics.median(found), found[int(len(found) * 0.99)]


def _watched(file: Path, look_every_s: float) -> list[float]:
    """How old orders are when a query first finds them; those of the first second are not counted."""
    ages: list[float] = []
    began = time.time()
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        newest = dict(connection.execute("SELECT record_id >> 40, max(record_id) FROM order_rows GROUP BY 1"))
        refs = [ref for (ref,) in connection.execute("SELECT partition_ref FROM partitions")]

        def over() -> bool:
            for ref in refs:
                rows = connection.execute(
                    "SELECT record_id, created_at_ms FROM order_rows WHERE record_id > ? AND record_id < ?",
                    (newest.get(ref, ref << 40), ref + 1 << 40),
                ).fetchall()
                if rows:
                    newest[ref] = rows[-1][0]
                    now = time.time()
                    if now - began > 1:
                        ages.extend(now * 1000 - created_at_ms for _, created_at_ms in rows)
            return time.time() - began > LATENCY_S - 2

        wait_for("the end of the source", over, LIMIT_S, look_every_s)
    return ages


def search(setup: Setup) -> Iterator[Line]:
    """Queries of a million dead letters by their fields, with facets and groups."""
    file, load = setup.letters_file("search", SEARCHED), LetterLoad(SEARCHED)
    began = time.process_time()
    with open_buffer(file) as buffer:
        while buffer.upkeep.note_for_search():
            pass
    yield Line("noted for search, µs CPU a dead letter", f"{(time.process_time() - began) * 1e6 / SEARCHED:.1f}")
    for what, timed in measured(file, load):
        yield Line(f"{what} of {SEARCHED:,} dead letters", str(timed), "p95 <= 100 ms", timed.p95_ms <= 100)


def _at_least(what: str, value: float, goal: float, form: str) -> Line:
    return Line(what, form.format(value), f">= {form.format(goal)}", value >= goal)


def _at_most(what: str, value: float, goal: float | None) -> Line:
    assert goal is not None
    return Line(what, f"{value:,.1f}", f"<= {goal:,}", value <= goal)


MEASURES = {
    each.__name__.replace("_", "-"): each
    for each in (
        catch_up,
        formats,
        failures,
        several,
        latency,
        idle,
        sending,
        dead_letters,
        texts,
        cold_start,
        search,
        # What these leave for the disk to write would hold up the others.
        memory,
        growth,
        letters_on_disk,
    )
}

ALONE = frozenset({"formats", "letters-on-disk", "search", "texts"})
"""Those whose figures are not compared with the rate of catching up."""
