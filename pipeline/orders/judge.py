"""Says of one record what it is: an order that is accepted, or why not."""

from __future__ import annotations

import traceback

from pipeline.clock import Clock
from pipeline.errors import (
    PermanentError,
    RecordError,
    SchemaPendingError,
    TransientError,
    UndecodableError,
)
from pipeline.orders.columns import Flags, OrderColumns
from pipeline.orders.handlers import Handler, headers_needed
from pipeline.orders.mapping.batches import Records
from pipeline.orders.order_reader import OrderReader
from pipeline.orders.rules_file import RulesFile
from pipeline.records import Order, PassedOver, Record, RecordContext


class Judge:
    """Decodes, validates and handles; the same for first attempts and retries."""

    def __init__(self, reader: OrderReader, rules_file: RulesFile, handler: Handler, clock: Clock) -> None:
        self._reader = reader
        self._rules_file = rules_file
        self._handler = handler
        self._clock = clock
        self.headers_needed = headers_needed(handler)
        """The handler need not see a record that has none of these headers; None: it must see every record."""

    def recheck_registry(self) -> None:
        """Raises RegistryUnavailableError while the registry still cannot say what it could not say last."""
        self._reader.recheck_registry()

    def judge(self, record: Record, attempt: int, valid: Order | None = None) -> Order | PassedOver | RecordError:
        """The order, or what is wrong with it: a TransientError may be tried again, any other may not.

        PassedOver: it is no order and need not be one, which no handler sees.
        `valid` is the record's order where `prevalidate` has found it valid already.
        Raises RegistryUnavailableError when nobody can say.
        """
        if valid is not None and record.headers_readable:
            return self._handle(valid, record, attempt)
        try:
            if not record.headers_readable:
                raise UndecodableError(
                    "a header's name is not UTF-8; key and value are kept, headers are not", "headers"
                )
            order = self._reader.read(record.position.topic, record)
            if isinstance(order, PassedOver):
                return order
            self._rules_file.rules.check(order, self._clock(), self._reader.currency)
        except SchemaPendingError as error:
            return error
        except PermanentError as error:
            return type(error)(f"{record.position}: {error.reason} (rule {error.rule})", error.rule)
        return self._handle(order, record, attempt)

    def order_in(self, record: Record) -> Order | None:
        """The order in a record, whatever rule it breaks; None where it is none, or nobody can say just now."""
        return self._reader.order_in(record.position.topic, record)

    def prevalidate(self, topic: str, records: Records) -> tuple[OrderColumns, Flags, list[int]]:
        """Orders as far as they can be read at a glance, which of them are valid, and which records are passed over.

        Ask `judge` about all others. Raises RegistryUnavailableError when nobody can say.
        """
        orders, passed_over = self._reader.read_many(topic, records)
        valid = self._rules_file.rules.valid_mask(orders, self._clock(), self._reader.currency)
        return orders, valid, passed_over

    def _handle(self, order: Order, record: Record, attempt: int) -> Order | RecordError:
        try:
            self._handler(order, RecordContext(record.position, record.key, record.headers, attempt))
        except RecordError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the handler is somebody else's code: whatever it raises is a failure
            failure = PermanentError(str(error) or type(error).__name__)
            failure.__cause__ = error
            return failure
        return order


def is_transient(error: RecordError) -> bool:
    """Whether another attempt may help."""
    return isinstance(error, TransientError)


def class_of(error: RecordError) -> str:
    """The full name of the class of what went wrong: the handler's own exception where there is one."""
    kind = type(error.__cause__ or error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def stacktrace_of(error: RecordError) -> str:
    """The handler's stack; empty where no handler was involved."""
    failed = error.__cause__ or error
    if failed.__traceback__ is None:
        return ""
    return "".join(traceback.format_exception(failed))
