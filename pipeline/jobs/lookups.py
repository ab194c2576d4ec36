"""Answers what the app wants to know of Kafka: topics, a sample of one with a proposal, what would come of a section,
schemas of the registry, and what there is of one dead letter.

Asking Kafka takes seconds. It is done in a thread, so that jobs go on meanwhile; the buffer stays the worker's.
"""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import Future
from dataclasses import asdict
from typing import Any

from pipeline.buffer import Buffer, Lookup
from pipeline.clock import Clock, Interval
from pipeline.dead_letters.letter.examined import examined_to_json
from pipeline.dead_letters.schema_answers import look_up_schemas
from pipeline.errors import OrderPulseError
from pipeline.jobs.letter_examiner import LetterExaminer
from pipeline.jobs.topic_examiner import TopicExaminer
from pipeline.kafka import Newest
from pipeline.orders.proposing.propose import Proposal
from pipeline.orders.proposing.sample import Sample, SampleRecord
from pipeline.orders.proposing.shown import key_text, shown_headers, value_text
from pipeline.orders.proposing.trial import Trial

log = logging.getLogger(__name__)

SHOWN_RECORDS = 3
SAMPLE_KEPT_MS = 600_000
"""So long a sample is tried again and again, before it is taken anew."""
PRUNE_EVERY_MS = 60_000


class Lookups:
    """The worker's part: takes one question after the other. A sample that was taken is kept for tries."""

    def __init__(self, buffer: Buffer, examiner: TopicExaminer, clock: Clock) -> None:
        self._buffer = buffer
        self._examiner = examiner
        self._letters = LetterExaminer(examiner.settings, examiner.schemas, clock)
        self._clock = clock
        self._under_way: tuple[int, Future[str]] | None = None
        self._sample: tuple[str, int, Newest] | None = None
        self._prune = Interval(PRUNE_EVERY_MS, clock)

    def step(self) -> None:
        """Notes an answer that has come, or takes the next question. Returns at once."""
        if self._under_way is not None:
            number, future = self._under_way
            if not future.done():
                return
            self._under_way = None
            self._note(number, future)
        asked = self._buffer.lookups.next(self._clock())
        if asked is not None:
            self._under_way = asked.id, self._begin(asked)
        elif self._prune.is_over():
            self._buffer.lookups.prune(self._clock())

    def _begin(self, asked: Lookup) -> Future[str]:
        future: Future[str] = Future()
        # Nobody waits for it at the end: Kafka may be silent for seconds.
        threading.Thread(target=self._run, args=(asked, future), name="lookup", daemon=True).start()
        return future

    def _note(self, number: int, future: Future[str]) -> None:
        failed = future.exception()
        if failed is None:
            self._buffer.lookups.answer(number, future.result(), "", self._clock())
        else:
            known = isinstance(failed, OrderPulseError)
            error = str(failed) if known else f"it failed by a fault of OrderPulse ({type(failed).__name__})"
            self._buffer.lookups.answer(number, None, error, self._clock())

    # -- in the thread

    def _run(self, asked: Lookup, future: Future[str]) -> None:
        try:
            future.set_result(self._answer(asked))
        except OrderPulseError as error:
            future.set_exception(error)
        except Exception as error:  # records of strangers: a fault of ours must not end the worker
            log.exception("a look-up failed")
            future.set_exception(error)

    def _answer(self, asked: Lookup) -> str:
        params = json.loads(asked.params)
        if asked.kind == "topics":
            return _as_json([asdict(each) for each in self._examiner.topics()])
        if asked.kind == "schemas":
            return _as_json(look_up_schemas(self._examiner.schemas, params["refs"]))
        if asked.kind == "letter":
            return examined_to_json(self._letters.examine(int(params["id"])))
        topic = params["topic"]
        newest = self._sample_of(topic, anew=asked.kind == "sample")
        if asked.kind == "try":
            return _as_json({"trial": asdict(self._examiner.try_text(topic, newest.records, params["section"]))})
        sample = self._examiner.look_through(topic, newest.records)
        proposal = self._examiner.propose(sample)
        trial = self._examiner.try_text(topic, newest.records, proposal.text)
        answer = _sample_answer(newest, sample, proposal, trial)
        return _as_json(answer | {"in_file": self._examiner.section_in_file(topic)})

    def _sample_of(self, topic: str, anew: bool) -> Newest:
        now_ms = self._clock()
        kept = self._sample
        if kept is not None and not anew and kept[0] == topic and now_ms - kept[1] < SAMPLE_KEPT_MS:
            return kept[2]
        self._sample = None
        newest = self._examiner.sample(topic)
        self._sample = (topic, now_ms, newest)
        return newest


def _sample_answer(newest: Newest, sample: Sample, proposal: Proposal, trial: Trial) -> dict[str, Any]:
    return {
        "held": newest.held,
        "cut": newest.cut,
        "records": len(newest.records),
        "formats": sample.formats,
        "unreadable": sample.reasons[:SHOWN_RECORDS],
        "told": proposal.told,
        "guesses": [asdict(each) for each in proposal.guesses],
        "shown": [_shown(each) for each in _worth_showing(sample)],
        "trial": asdict(trial),
    }


def _worth_showing(sample: Sample) -> list[SampleRecord]:
    """The newest, those first that say something."""
    return sorted(sample.records, key=lambda each: (not each.is_read, each.record.value is None))[:SHOWN_RECORDS]


def _shown(each: SampleRecord) -> dict[str, Any]:
    record = each.record
    return {
        "position": str(record.position),
        "timestamp_ms": record.timestamp_ms,
        "format": each.format,
        "reason": each.reason,
        "key": key_text(record.key),
        "headers": shown_headers(record.headers),
        "value": value_text(each.value, record.value),
    }


def _as_json(answer: Any) -> str:
    # Halves of surrogate pairs, which JSON may hold, cannot be stored.
    return json.dumps(answer, ensure_ascii=True, default=str)
