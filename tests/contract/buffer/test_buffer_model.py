"""Anything that roles and people may do, in any order, against a model that is simple enough to be right."""

import shutil
import sqlite3
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline.buffer import (
    Attempted,
    Batch,
    DeadLetterFilter,
    ReplayOutcome,
    Retention,
    Sent,
    offset_of,
    open_buffer,
    record_id,
    recount,
    unaccounted,
)
from tests.support.buffer_rows import (
    NOW_MS,
    batch,
    collect,
    collector,
    dead_letter,
    order_row,
    outbox_row,
    parked,
    processor,
)

OPEN = ("open",)
UNDER_WAY = ("planned", "sending")
SENT = ("sent", "recovered", "dead_again")
OUTCOMES = st.sampled_from(["recovered", "dead_again"])
SEED = st.integers(0, 2**16)
FATES = ["tea", "mug", "pan", "park", "kill", "pass over", "skip"]
"""What becomes of a new record; what is skipped is none."""


@dataclass
class Letter:
    """A dead letter: `public` is the id that Kafka knows, `before` the life whose replay it is."""

    public: str
    status: str = "open"
    replays: int = 0
    before: int | None = None


@dataclass
class Item:
    """One replay of a dead letter."""

    letter: int
    before: str
    state: str = "planned"


@dataclass
class Job:
    """A replay job; `window` are the replays that were being sent when it was opened, None when there is none."""

    state: str = "queued"
    items: dict[str, Item] = field(default_factory=dict)
    window: list[str] | None = None
    pruned: list[str] = field(default_factory=list)


class Model:
    """What the buffer should hold."""

    def __init__(self) -> None:
        self.next_offset = 0
        self.orders: dict[int, tuple[str, int]] = {}
        self.pruned_orders: set[int] = set()
        self.collected = 0
        self.parked: dict[int, int] = {}
        self.passed_over: set[int] = set()
        self.outbox: set[str] = set()
        self.retries = 0
        self.dead_next_offset = 0
        self.letters: dict[int, Letter] = {}
        self.jobs: dict[int, Job] = {}

    def replay(self, replay_id: str) -> Item:
        return next(job.items[replay_id] for job in self.jobs.values() if replay_id in job.items)

    def replays(self, *states: str) -> list[str]:
        return [name for job in self.jobs.values() for name, item in job.items.items() if item.state in states]

    def by_public(self, public: str) -> int | None:
        return next((number for number, letter in self.letters.items() if letter.public == public), None)

    def under_way(self, letter: int) -> Item | None:
        found = [item for job in self.jobs.values() for item in job.items.values()]
        return next((item for item in found if item.letter == letter and item.state in UNDER_WAY), None)

    def settle(self, letter: int, state: str) -> None:
        again = self.under_way(letter)
        if again is None:
            self.letters[letter].status = state
        else:
            again.before = state

    def go_back(self, item: Item) -> None:
        self.letters[item.letter].status = item.before
        self.letters[item.letter].replays -= 1

    def running(self) -> tuple[int, Job] | None:
        unfinished = [(number, job) for number, job in self.jobs.items() if job.state in ("running", "cancelling")]
        return unfinished[0] if unfinished else None


class BufferMachine(RuleBasedStateMachine):
    """Runs the same steps on a buffer file and on the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="orderpulse-model-"))
        self.path = self.folder / "orderpulse.db"
        self.model = Model()
        self.clicks = 0
        self.now_ms = NOW_MS

    @initialize()
    def begin(self) -> None:
        self.buffer = open_buffer(self.path)
        self.onlooker = sqlite3.connect(self.path)
        self.assignment, self.dead = processor(self.buffer), collector(self.buffer)
        # Something to replay from the first step on: most of what can go wrong needs several replays.
        self._collect([("first", None, None), ("second", None, None)])

    def teardown(self) -> None:
        self.onlooker.close()
        self.buffer.close()
        shutil.rmtree(self.folder)

    # -- records

    @rule(fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=6))
    def batch_of_records(self, fates: list[str]) -> None:
        first = self.model.next_offset
        self.now_ms += 20_000
        step = batch(self.assignment.ref, first, first + len(fates), self.now_ms)
        for offset, fate in enumerate(fates, first):
            self._add(step, offset, fate, attempts=1)
        self.buffer.flow.commit(step)
        self.model.next_offset += len(fates)

    @precondition(lambda self: self.model.parked)
    @rule(data=st.data(), fate=st.sampled_from(["tea", "pan", "park", "kill", "pass over"]))
    def next_attempt(self, data: st.DataObject, fate: str) -> None:
        offset = data.draw(st.sampled_from(sorted(self.model.parked)))
        attempts = self.model.parked.pop(offset)
        record = record_id(self.assignment.ref, offset)
        step = Batch(self.now_ms, taken=[Attempted(record, attempts)], settled=[] if fate == "park" else [record])
        self._add(step, offset, fate, attempts + 1)
        self.buffer.flow.commit(step)

    def _add(self, step: Batch, offset: int, fate: str, attempts: int) -> None:
        if fate == "park":
            step.parked.append(parked(self.assignment.ref, offset, attempts))
            step.failed_attempts[self.assignment.ref] += 1
            self.model.retries += 1
            self.model.parked[offset] = attempts
        elif fate == "kill":
            step.outbox.append(outbox_row(self.assignment.ref, offset))
            self.model.outbox.add(f"dl-{self.assignment.ref}-{offset}")
        elif fate == "pass over":
            step.passed_over.append(record_id(self.assignment.ref, offset))
            self.model.passed_over.add(offset)
        elif fate != "skip":
            step.orders.append(order_row(self.assignment.ref, offset, attempts, product=fate, price_cents=offset + 1))
            self.model.orders[offset] = (fate, offset + 1)

    @precondition(lambda self: self.model.outbox)
    @rule(data=st.data())
    def deliver_and_collect(self, data: st.DataObject) -> None:
        public = data.draw(st.sampled_from(sorted(self.model.outbox)))
        self._collect([(public, None, None)])
        self.buffer.flow.delivered([public])
        self.model.outbox.remove(public)

    @rule(numbers=st.lists(st.integers(0, 8), min_size=1, max_size=4))
    def collect_from_others_with_copies(self, numbers: list[int]) -> None:
        self._collect([(f"theirs-{number}", None, None) for number in numbers])

    @precondition(lambda self: self.model.replays("sending", "sent", "recovered", "dead_again"))
    @rule(data=st.data(), told=st.booleans())
    def collect_a_replay_that_failed_again(self, data: st.DataObject, told: bool) -> None:
        replay_id = data.draw(st.sampled_from(self.model.replays("sending", "sent", "recovered", "dead_again")))
        before = self.model.letters[self.model.replay(replay_id).letter].public
        self._collect([(f"again-{replay_id}", before, replay_id if told else None)])

    def _collect(self, letters: list[tuple[str, str | None, str | None]]) -> None:
        first = self.model.dead_next_offset
        rows = [
            dead_letter(self.dead.ref, offset, public, fingerprint=public[:5], replay_of=before, replay_id=replay_id)
            for offset, (public, before, replay_id) in enumerate(letters, first)
        ]
        known = self.model.collected
        new = collect(self.buffer, self.dead, first, *rows, now_ms=self.now_ms)
        for public, before, replay_id in letters:
            if self.model.by_public(public) is None:
                self._model_collected(public, before, replay_id)
        assert new == self.model.collected - known
        self.model.dead_next_offset += len(letters)

    def _model_collected(self, public: str, before: str | None, replay_id: str | None) -> None:
        life = None if before is None else self.model.by_public(before)
        replays = 0 if life is None else self.model.letters[life].replays
        self.model.collected += 1
        self.model.letters[self.model.collected] = Letter(public, "open", replays, life)
        if life is None:
            return
        # A replay that is named fails again even if somebody else took it; else whatever has no outcome is meant.
        known = ("sending", "sent", "recovered") if replay_id else ("sending", "sent")
        failed = [
            name
            for name in self.model.replays(*known)
            if self.model.replay(name).letter == life and replay_id in (None, name)
        ]
        for name in failed:
            self.model.replay(name).state = "dead_again"
        if failed:
            self.model.settle(life, "dead_again")

    # -- people

    @precondition(lambda self: self.model.letters)
    @rule(seed=SEED, force=st.booleans(), again=st.booleans())
    def ask_for_a_replay(self, seed: int, force: bool, again: bool) -> None:
        # No ids would mean all of them.
        ids = self._some_letters(seed) or tuple(self.model.letters)
        self.clicks += 1
        asked = ("{}", DeadLetterFilter(ids=ids), None if force else 2, "me", f"click-{self.clicks}", self.now_ms)
        job_id = self.buffer.jobs.queue_replay(*asked)
        taken = [each for each in ids if self._may_be_replayed(each, force)]
        assert (job_id is None) == (not taken)
        if job_id is not None:
            assert job_id not in self.model.jobs
            job = self.model.jobs[job_id] = Job()
            for each in taken:
                letter = self.model.letters[each]
                job.items[f"click-{self.clicks}-{each}"] = Item(each, letter.status)
                letter.status, letter.replays = "replaying", letter.replays + 1
            if again:
                assert self.buffer.jobs.queue_replay(*asked) == job_id

    def _some_letters(self, seed: int) -> tuple[int, ...]:
        return tuple(number for number in self.model.letters if seed >> number % 16 & 1)

    def _may_be_replayed(self, number: int, force: bool) -> bool:
        letter = self.model.letters[number]
        return letter.status != "replaying" and (force or letter.status in OPEN and letter.replays < 2)

    @precondition(lambda self: self.model.letters)
    @rule(seed=SEED, status=st.sampled_from(["open", "discarded", "recovered"]))
    def triage(self, seed: int, status: str) -> None:
        ids = self._some_letters(seed)
        before = {"open": ("discarded",), "discarded": (*OPEN, "replayed"), "recovered": ("replayed",)}[status]
        changed = [self.model.letters[each] for each in ids if self.model.letters[each].status in before]
        assert self.buffer.dead_letters.triage(ids, status, self.now_ms) == len(changed)  # type: ignore[arg-type]
        for letter in changed:
            letter.status = status
        if status == "recovered":
            numbers = [each for each in ids if self.model.letters[each] in changed]
            for name in self.model.replays("sent"):
                if self.model.replay(name).letter in numbers:
                    self.model.replay(name).state = "recovered"

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.jobs)))
        job = self.model.jobs[number]
        ended = job.state not in ("queued", "running", "cancelling")
        assert self.buffer.jobs.ask_to_cancel(number, self.now_ms) is not ended
        if job.state == "queued":
            self._model_finished(job, "cancelled")
        elif not ended:
            job.state = "cancelling"

    # -- the worker

    @precondition(lambda self: self.model.running() is None)
    @rule()
    def take_the_next_job(self) -> None:
        queued = [number for number, job in self.model.jobs.items() if job.state == "queued"]
        job = self.buffer.jobs.next_job(self.now_ms)
        assert (job and job.id) == (queued[0] if queued else None)
        if queued:
            self.model.jobs[queued[0]].state = "running"

    @precondition(lambda self: self.model.running() is not None and self.model.running()[1].window is None)
    @rule(limit=st.integers(1, 3))
    def open_a_window(self, limit: int) -> None:
        number, job = self.model.running()  # type: ignore[misc]
        planned = [name for name, item in job.items.items() if item.state == "planned"]
        sending = [item.replay_id for item in self.buffer.jobs.planned_items(number, limit)]
        assert sending == planned[:limit]
        opened = bool(sending) and self.buffer.jobs.open_send_window(number, "{}", sending)
        if opened:
            assert job.state == "running"
            job.window = sending
            for name in sending:
                job.items[name].state = "sending"
        else:
            state = "cancelled" if job.state == "cancelling" else "done"
            self.buffer.jobs.finish(number, state, self.now_ms)  # type: ignore[arg-type]
            self._model_finished(job, state)

    @precondition(lambda self: self.model.running() is not None and self.model.running()[1].window is not None)
    @rule(seed=SEED, resumed=st.booleans())
    def close_the_window(self, seed: int, resumed: bool) -> None:
        number, job = self.model.running()  # type: ignore[misc]
        names = job.window or []
        if resumed:
            # Somebody who died does not know of those whose outcome came before.
            names = [item.replay_id for item in self.buffer.jobs.sending_items(number)]
            assert names == [name for name in job.window or [] if job.items[name].state == "sending"]
        errors = {name: "too large" for index, name in enumerate(names) if seed >> index & 1}
        sent = [Sent(name, "orders", 0, index) for index, name in enumerate(names) if name not in errors]
        self.buffer.jobs.close_send_window(number, len(sent), len(errors), sent, errors, self.now_ms)
        job.window = None
        for name in names:
            item = job.items[name]
            if item.state == "sending" and name in errors:
                item.state = "failed"
                self.model.go_back(item)
            elif item.state == "sending":
                item.state = "sent"
                self.model.letters[item.letter].status = "replayed"

    @precondition(lambda self: any(job.state == "queued" for job in self.model.jobs.values()))
    @rule(seed=SEED)
    def work_until_a_job_has_ended(self, seed: int) -> None:
        if self.model.running() is None:
            self.take_the_next_job()
        while (running := self.model.running()) is not None:
            if running[1].window is None:
                self.open_a_window(3)
            else:
                self.close_the_window(seed, False)

    def _model_finished(self, job: Job, state: str) -> None:
        job.state = state
        for item in job.items.values():
            if item.state == "planned":
                item.state = "cancelled"
                self.model.go_back(item)

    @rule(orders=st.booleans(), letters=st.booleans())
    def prune_everything_that_may_go(self, orders: bool, letters: bool) -> None:
        until_ms = self.now_ms + 1
        retention = Retention(until_ms if orders else None, until_ms if letters else None)
        while self.buffer.upkeep.prune(retention):
            pass
        if orders:
            self.model.pruned_orders = set(self.model.orders)
        while letters and (gone := [each for each in self.model.letters if self._may_be_pruned(each)]):
            for each in gone:
                self._model_pruned(each)

    def _may_be_pruned(self, number: int) -> bool:
        letter = self.model.letters[number]
        next_lives = [each for each in self.model.letters.values() if each.before == number]
        return (
            letter.before is None
            and (letter.status in ("recovered", "discarded") or (letter.status == "dead_again" and bool(next_lives)))
            and not any(
                item.letter == number and job.state in ("queued", "running", "cancelling")
                for job in self.model.jobs.values()
                for item in job.items.values()
            )
        )

    def _model_pruned(self, number: int) -> None:
        del self.model.letters[number]
        for letter in self.model.letters.values():
            if letter.before == number:
                letter.before = None
        for job_id, job in list(self.model.jobs.items()):
            for name in [name for name, item in job.items.items() if item.letter == number]:
                job.pruned.append(job.items.pop(name).state)
            if not job.items:
                del self.model.jobs[job_id]

    # -- outcomes, and the end of a process

    @precondition(lambda self: self.model.replays("sending", "sent", "failed"))
    @rule(data=st.data(), state=OUTCOMES)
    def outcome(self, data: st.DataObject, state: str) -> None:
        replay_id = data.draw(st.sampled_from(self.model.replays("sending", "sent", "failed")))
        self.buffer.flow.commit(Batch(self.now_ms, outcomes=[ReplayOutcome(replay_id, state)]))  # type: ignore[arg-type]
        item = self.model.replay(replay_id)
        item.state = state
        self.model.settle(item.letter, state)

    @rule()
    def reopen(self) -> None:
        self.buffer.close()
        self.buffer = open_buffer(self.path)

    # -- what must always hold

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        return self.onlooker.execute(sql).fetchall()

    @invariant()
    def figures_agree_with_their_rows(self) -> None:
        assert recount(self.path) == []

    @invariant()
    def records_are_where_the_model_has_them(self) -> None:
        model, ref = self.model, self.assignment.ref
        assert processor(self.buffer).next_offset == model.next_offset
        assert collector(self.buffer).next_offset == model.dead_next_offset
        orders = self.rows('SELECT "offset", product, price_cents FROM orders')
        kept = {offset: order for offset, order in model.orders.items() if offset not in model.pruned_orders}
        assert {offset: (product, price) for offset, product, price in orders} == kept
        found = {each.record_id: each.attempts for each in self._parked()}
        assert found == {record_id(ref, offset): attempts for offset, attempts in model.parked.items()}
        assert {row.dead_letter_id for row in self.buffer.flow.outbox([ref], 10_000)} == model.outbox
        self._passed_over_are_those_of_the_model(ref)

    def _passed_over_are_those_of_the_model(self, ref: int) -> None:
        model = self.model
        (counted,) = self.rows("SELECT sum(passed_over) FROM partitions")
        assert counted == (len(model.passed_over),)
        elsewhere = {*model.orders, *model.parked} - model.pruned_orders
        left = [offset for offset in range(model.next_offset) if offset not in elsewhere]
        named = unaccounted(self.path, ref, left, [""] * len(left))
        in_outbox = {offset_of(row.record_id) for row in self.buffer.flow.outbox([ref], 10_000)}
        assert set(left) - set(named) == model.passed_over | in_outbox

    def _parked(self):
        return self.buffer.flow.load_parked(each.record_id for each in self.buffer.flow.parked([self.assignment.ref]))

    @invariant()
    def figures_are_those_of_the_model(self) -> None:
        model = self.model
        prices = [price for _, price in model.orders.values()]
        expected = (len(prices), sum(prices), model.collected)
        assert self.rows("SELECT orders, revenue_cents, dead_letters FROM totals") == [expected]
        sums = "coalesce(sum(orders), 0), coalesce(sum(revenue_cents), 0), coalesce(sum(dead_letters), 0)"
        assert self.rows("SELECT sum(orders), sum(revenue_cents) FROM partitions") == [expected[:2]]
        for table in ("flow_minutes", "flow_seconds"):
            (row,) = self.rows(f"SELECT {sums}, coalesce(sum(retries), 0) FROM {table}")
            assert row == (*expected, model.retries)
        totals = self.rows("SELECT product, orders FROM product_totals JOIN products USING (product_ref)")
        assert dict(totals) == Counter(product for product, _ in model.orders.values())

    @invariant()
    def dead_letters_are_those_of_the_model(self) -> None:
        letters = self.rows("SELECT id, dead_letter_id, status, replays, replay_of FROM dead_letters")
        assert {row[0]: Letter(*row[1:]) for row in letters} == self.model.letters
        counts = self.rows("SELECT status, dead_letters FROM dead_letter_counts WHERE dead_letters > 0")
        assert dict(counts) == Counter(letter.status for letter in self.model.letters.values())

    @invariant()
    def the_ledger_is_that_of_the_model(self) -> None:
        states = dict(self.rows("SELECT replay_id, state FROM job_items"))
        assert states == {name: item.state for job in self.model.jobs.values() for name, item in job.items.items()}
        jobs = {row[0]: row[1:] for row in self.rows("SELECT id, state, done, failed FROM jobs")}
        assert jobs == {number: self._job_row(job) for number, job in self.model.jobs.items()}

    def _job_row(self, job: Job) -> tuple[str, int, int]:
        states = Counter([*job.pruned, *(item.state for item in job.items.values())])
        return job.state, sum(states[state] for state in SENT), states["failed"]

    @invariant()
    def each_dead_letter_is_on_its_way_at_most_once(self) -> None:
        under_way = self.rows("SELECT dead_letter_id FROM job_items WHERE state IN ('planned', 'sending')")
        assert len(under_way) == len(set(under_way))


TestBuffer = BufferMachine.TestCase
TestBuffer.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
