"""Schemas that the app asks the worker for: asked once, kept, asked again where they may come, and told why not."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from dashboard.shared.schemas import ANSWER_MS, MOST_WANTED, UNKNOWN_FOR_MS, AwaitedSchemas, LookedUpSchemas
from pipeline.buffer import Lookup
from pipeline.dead_letters.schema_answers import AGAIN_AFTER_MS, ASKED_AT_ONCE, look_up_schemas, params_of
from pipeline.errors import (
    BufferUnavailableError,
    RegistryUnavailableError,
    SchemaPendingError,
    SchemaUnusableError,
)
from pipeline.orders.avro_schemas import SchemaStore
from pipeline.orders.formats.schemas import Schemas
from pipeline.schema_source import (
    ApicurioContentId,
    ApicurioGlobalId,
    ReferencedSchema,
    RegisteredSchema,
    SchemaGuid,
    SchemaId,
    SchemaRef,
)
from pipeline.settings import PROJECT_DIR
from tests.support.mapped import RegistryByHand

FOUND = RegisteredSchema("AVRO", '"string"', (ReferencedSchema("other", '"int"'),))
STORE = SchemaStore(PROJECT_DIR / "schemas")


class Worker:
    """A worker that answers when it is told to, and the registry that it asks."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.questions: list[str] = []
        self.answers: dict[int, Lookup] = {}
        self.registry = RegistryByHand()
        self.refused = ""
        self.schemas = LookedUpSchemas(self.ask, self.answers.get, lambda: self.now_ms)

    def ask(self, refs: Sequence[SchemaRef]) -> int:
        if self.refused:
            raise BufferUnavailableError(self.refused)
        self.questions.append(params_of(refs))
        number = len(self.questions)
        self.answers[number] = Lookup(number, "schemas", self.questions[-1], "asked", self.now_ms)
        return number

    def work(self) -> None:
        """Answers the newest question."""
        number = len(self.questions)
        params = self.questions[-1]
        found = look_up_schemas(Schemas(STORE, self.registry), json.loads(params)["refs"])
        self.answers[number] = Lookup(number, "schemas", params, "done", self.now_ms, json.dumps(found))


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.mark.parametrize("ref", [SchemaId(7), SchemaGuid(bytes(range(16))), ApicurioContentId(8), ApicurioGlobalId(9)])
def test_a_schema_is_asked_for_once_and_kept(worker: Worker, ref: SchemaRef) -> None:
    worker.registry.schemas[ref] = FOUND
    with pytest.raises(SchemaPendingError, match=f"{ref} is being looked up by the worker"):
        worker.schemas.get(ref)
    before = worker.schemas.poll()
    assert worker.schemas.poll() == before
    worker.work()
    assert worker.schemas.poll() != before
    assert worker.schemas.get(ref) == FOUND
    worker.schemas.poll()
    assert len(worker.questions) == 1


def test_what_is_unknown_is_told_and_asked_for_again_after_a_while(worker: Worker) -> None:
    ref = SchemaId(7)
    with pytest.raises(SchemaPendingError):
        worker.schemas.get(ref)
    worker.schemas.poll()
    worker.work()
    worker.schemas.poll()
    with pytest.raises(SchemaUnusableError, match="unknown schema id 7"):
        worker.schemas.get(ref)
    worker.schemas.poll()
    assert len(worker.questions) == 1
    worker.now_ms += UNKNOWN_FOR_MS
    worker.registry.schemas[ref] = FOUND
    with pytest.raises(SchemaPendingError, match="looked up"):
        worker.schemas.get(ref)
    worker.schemas.poll()
    worker.work()
    worker.schemas.poll()
    assert worker.schemas.get(ref) == FOUND


@pytest.mark.parametrize(
    ("error", "after_ms"),
    [
        (SchemaPendingError("unknown schema id 7, so far", wait_ms=1_000), 1_000),
        (RegistryUnavailableError("the registry does not answer"), AGAIN_AFTER_MS),
    ],
)
def test_what_may_still_come_is_asked_for_again_by_itself(worker: Worker, error: Exception, after_ms: int) -> None:
    ref = SchemaId(7)
    worker.registry.schemas[ref] = error
    with pytest.raises(SchemaPendingError):
        worker.schemas.get(ref)
    worker.schemas.poll()
    worker.work()
    version = worker.schemas.poll()
    with pytest.raises(SchemaPendingError, match=str(error)):
        worker.schemas.get(ref)
    worker.now_ms += after_ms - 1
    worker.schemas.poll()
    assert len(worker.questions) == 1
    worker.now_ms += 1
    worker.schemas.poll()
    worker.work()
    # The same answer again: nothing has to be drawn anew.
    assert worker.schemas.poll() == version
    worker.now_ms += after_ms
    worker.schemas.poll()
    worker.registry.schemas[ref] = FOUND
    worker.work()
    worker.schemas.poll()
    assert worker.schemas.get(ref) == FOUND


def test_without_a_worker_it_is_said_and_asked_again_later(worker: Worker) -> None:
    with pytest.raises(SchemaPendingError):
        worker.schemas.get(SchemaId(7))
    worker.schemas.poll()
    worker.now_ms += ANSWER_MS
    worker.schemas.poll()
    with pytest.raises(SchemaPendingError, match="no worker has answered; is one running"):
        worker.schemas.get(SchemaId(7))
    worker.now_ms += AGAIN_AFTER_MS
    worker.schemas.poll()
    assert len(worker.questions) == 2


def test_a_buffer_that_takes_no_question_is_told(worker: Worker) -> None:
    worker.refused = "the disk is full"
    with pytest.raises(SchemaPendingError):
        worker.schemas.get(SchemaId(7))
    worker.schemas.poll()
    with pytest.raises(SchemaPendingError, match="the worker cannot be asked: the disk is full"):
        worker.schemas.get(SchemaId(7))


def test_one_question_is_about_many_and_a_registry_that_is_away_is_asked_once_for_it(worker: Worker) -> None:
    for schema_id in range(1, MOST_WANTED + 100):
        worker.registry.schemas[SchemaId(schema_id)] = RegistryUnavailableError(f"away at {schema_id}")
        with pytest.raises(SchemaPendingError):
            worker.schemas.get(SchemaId(schema_id))
    worker.schemas.poll()
    assert len(json.loads(worker.questions[0])["refs"]) == ASKED_AT_ONCE
    worker.work()
    worker.schemas.poll()
    for schema_id in (1, ASKED_AT_ONCE):
        with pytest.raises(SchemaPendingError, match=r"away at 1$"):
            worker.schemas.get(SchemaId(schema_id))
    assert len(worker.questions) == 2


def test_an_export_waits_for_answers_some_seconds_in_all(worker: Worker) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        worker.now_ms += int(seconds * 1000)
        if len(waited) == 3:
            worker.work()
        return False

    worker.registry.schemas[SchemaId(7)] = FOUND
    awaited = AwaitedSchemas(worker.schemas, wait)
    assert awaited.get(SchemaId(7)) == FOUND
    assert len(waited) == 4
    for schema_id in (8, 9):
        with pytest.raises(SchemaPendingError):
            awaited.get(SchemaId(schema_id))
    assert sum(waited) == pytest.approx(10, abs=0.2)
