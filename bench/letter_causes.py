"""Causes of failures as the programs of a shop have them: each with a message, a stack of some 2 kB, and its headers.

Messages hold ids of the usual kinds, and a stack repeats the message, as stacks do: no two of a cause are the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.headers import failure_headers
from pipeline.records import Headers, Position

STACK_BYTES = 1900
"""Without the messages in it."""

_SERVICES = ("billing", "shipping", "pricing", "stock", "loyalty", "returns", "search", "invoicing", "fraud", "mailing")
_THINGS = ("Order", "Customer", "Item", "Parcel", "Refund", "Voucher", "Price", "Address", "Payment", "Subscription")
_TROUBLES = (
    ("NotFoundException", "{thing} {id} of customer {customer} is not known to {service}"),
    ("ConflictException", "{thing} {id} was changed by another writer while {service} held version {number}"),
    ("ValidationException", "{thing} {id}: the amount {number} is beyond the limit of {service}"),
    ("TimeoutException", "{service} did not answer for {thing} {id} within {number} ms"),
    ("ConstraintViolationException", "duplicate key in {service}_{thing}: Key (id)=({id}) exists for {customer}"),
    ("IllegalStateException", "{thing} {id} cannot go from state paid to state {service} for customer {customer}"),
    ("JsonMappingException", "{thing} {id} has no field that {service} could read, at position {number}"),
    ("AccessDeniedException", "customer {customer} may not touch {thing} {id} in {service}"),
)
_WORDS = ("Handler", "Service", "Repository", "Listener", "Mapper", "Client", "Policy", "Ledger", "Gateway", "Planner")
_VERBS = ("handle", "apply", "load", "store", "check", "send", "merge", "resolve", "publish", "reserve", "invoke")
_LIBRARIES = (
    "org.springframework.messaging.handler.invocation.InvocableHandlerMethod",
    "org.springframework.kafka.listener.KafkaMessageListenerContainer$ListenerConsumer",
    "org.springframework.transaction.interceptor.TransactionAspectSupport",
    "org.hibernate.engine.jdbc.internal.StatementPreparerImpl",
    "java.base/jdk.internal.reflect.DirectMethodHandleAccessor",
    "org.apache.kafka.connect.runtime.WorkerSinkTask",
)
_WRAPPER = "org.springframework.kafka.listener.ListenerExecutionFailedException"


@dataclass(frozen=True, slots=True)
class Incident:
    """One failure of a cause. `number` is another one each time; times are epoch milliseconds."""

    source: Position
    written_at_ms: int
    failed_at_ms: int
    customer: str
    number: int
    trace_id: str
    dead_letter_id: str


@dataclass(frozen=True, slots=True)
class Cause:
    """Why records fail, and how the program that fails them says so."""

    name: str
    service: str
    source_topic: str
    dead_letter_topic: str
    error_class: str
    template: str
    frames: str
    write_headers: Callable[[Cause, Incident], Headers]

    def message(self, incident: Incident) -> str:
        """What the exception says this time."""
        number = incident.number
        return self.template.format(id=_id_of(number), customer=incident.customer, number=number % 9973 + 1)


def causes(count: int, seed: int) -> list[Cause]:
    """So many, each different from the others by its message, its stack, or both."""
    draw = random.Random(seed)
    kinds = [(service, thing, trouble) for service in _SERVICES for thing in _THINGS for trouble in _TROUBLES]
    return [_cause(draw, number, *kind) for number, kind in enumerate(draw.sample(kinds, count))]


def _cause(draw: random.Random, number: int, service: str, thing: str, trouble: tuple[str, str]) -> Cause:
    kind, template = trouble
    dialect, topic_end = _WRITERS[(0, 0, 1, 2)[number % 4]]
    text = template.replace("{service}", service).replace("{thing}", thing.lower())
    return Cause(
        f"{service}-{thing}-{kind}".lower(),
        service,
        "orders" if dialect is _ours else f"{service}-events",
        "orders-dlq" if dialect is _ours else f"{service}-events{topic_end}",
        f"shop.{service}.{kind}",
        text,
        _frames(draw, service),
        dialect,
    )


def _frames(draw: random.Random, service: str) -> str:
    lines = []
    size = 0
    while size < STACK_BYTES:
        of_library = draw.random() < 0.5
        owner = draw.choice(_LIBRARIES) if of_library else f"shop.{service}.{draw.choice(_THINGS)}{draw.choice(_WORDS)}"
        file = owner.rpartition(".")[2].partition("$")[0]
        lines.append(f"\tat {owner}.{draw.choice(_VERBS)}({file}.java:{draw.randrange(20, 900)})\n")
        size += len(lines[-1])
    return "".join(lines)


def _id_of(number: int) -> str:
    """Ids of the usual kinds."""
    shapes = (f"{number % 10_000}", f"ORD-{number:09d}", f"{number * 2_654_435_761 % (1 << 32):08x}", f"P{number:07d}")
    return shapes[number % len(shapes)]


# ---- who writes dead letters


def _spring(cause: Cause, incident: Incident) -> Headers:
    """As Spring's DeadLetterPublishingRecoverer: binary positions, and a wrapper around what was thrown."""
    message = cause.message(incident)
    wrapped = f"Listener method 'void shop.{cause.service}.Listener.on(Event)' threw exception; {message}"
    frames = cause.frames.splitlines(keepends=True)
    stack = (
        f"{_WRAPPER}: {wrapped}\n{''.join(frames[:8])}Caused by: {cause.error_class}: {message}\n"
        f"{''.join(frames[8:])}\t... 12 more\n"
    )
    return (
        ("trace-id", incident.trace_id.encode()),
        ("content-type", b"application/json"),
        ("__TypeId__", f"shop.{cause.service}.Event".encode()),
        ("kafka_dlt-exception-fqcn", _WRAPPER.encode()),
        ("kafka_dlt-exception-cause-fqcn", cause.error_class.encode()),
        ("kafka_dlt-exception-message", wrapped.encode()),
        ("kafka_dlt-exception-stacktrace", stack.encode()),
        ("kafka_dlt-original-topic", incident.source.topic.encode()),
        ("kafka_dlt-original-partition", incident.source.partition.to_bytes(4)),
        ("kafka_dlt-original-offset", incident.source.offset.to_bytes(8)),
        ("kafka_dlt-original-timestamp", incident.written_at_ms.to_bytes(8)),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"),
        ("kafka_dlt-original-consumer-group", cause.service.encode()),
    )


def _connect(cause: Cause, incident: Incident) -> Headers:
    """As a sink connector of Kafka Connect."""
    message = cause.message(incident)
    return (
        ("source-system", b"shop-7"),
        ("__connect.errors.topic", incident.source.topic.encode()),
        ("__connect.errors.partition", str(incident.source.partition).encode()),
        ("__connect.errors.offset", str(incident.source.offset).encode()),
        ("__connect.errors.connector.name", f"{cause.service}-sink".encode()),
        ("__connect.errors.task.id", str(incident.source.partition % 2).encode()),
        ("__connect.errors.stage", b"TASK_PUT"),
        ("__connect.errors.class.name", b"org.apache.kafka.connect.sink.SinkTask"),
        ("__connect.errors.exception.class.name", cause.error_class.encode()),
        ("__connect.errors.exception.message", message.encode()),
        ("__connect.errors.exception.stacktrace", f"{cause.error_class}: {message}\n{cause.frames}".encode()),
    )


def _ours(cause: Cause, incident: Incident) -> Headers:
    """As a processor of ours."""
    message = cause.message(incident)
    return failure_headers(
        incident.source,
        stage="HANDLER",
        class_name="shop.handlers:accept",
        exception_class=cause.error_class,
        message=message,
        stacktrace=f"{cause.error_class}: {message}\n{cause.frames}",
        timestamp_ms=incident.written_at_ms,
        attempts=3,
        first_failed_at_ms=incident.failed_at_ms - 4321,
        failed_at_ms=incident.failed_at_ms,
        rule="handler",
        dead_letter_id=incident.dead_letter_id,
    )


_WRITERS = ((_spring, "-dlt"), (_connect, "-errors"), (_ours, "-dlq"))
