"""What is done with a valid order. A team may name a function of its own."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from pipeline.errors import SettingsError, TransientError
from pipeline.headers.own import FAULT_REASON, TRANSIENT_FAILURES, last_text
from pipeline.records import Headers, Order, RecordContext

Handler = Callable[[Order, RecordContext], object]
"""Called once for every attempt at an order. Returning accepts it, whatever is returned.

Raises TransientError to be called again after a backoff, PermanentError to make the record a dead letter.
"""

DEFAULT_NAME = "pipeline.orders.handlers:accept"
# The last one was the setting's default while the module had that name, and may stand in a team's settings.
_NAMES_OF_DEFAULT = frozenset({"", DEFAULT_NAME, "pipeline.handlers:accept"})


def only_with_headers(*names: str) -> Callable[[Handler], Handler]:
    """Declares that a handler does nothing with a record that has none of these headers: it is not called for it.

    A handler without this declaration is called for every valid order, which costs some microseconds each.
    """

    def declare(handler: Handler) -> Handler:
        handler.headers_needed = frozenset(names)  # type: ignore[attr-defined] # a function takes any attribute
        return handler

    return declare


def headers_needed(handler: Handler) -> frozenset[str] | None:
    """The handler need not see a record that has none of these headers; None: it must see every record."""
    needed: frozenset[str] | None = getattr(handler, "headers_needed", None)
    return needed


@only_with_headers()
def accept(order: Order, context: RecordContext) -> None:
    """Accepts every order."""


@only_with_headers(TRANSIENT_FAILURES)
def simulate_failures(order: Order, context: RecordContext) -> None:
    """Accepts every order, unless its headers ask for a failure to be simulated. For the demo cluster alone.

    A header `orderpulse.fault.transient-failures` of N makes the first N attempts fail; `orderpulse.fault.reason` is
    what they say then.
    """
    failures = _failures_asked_for(context.headers)
    if context.attempt <= failures:
        reason = last_text(context.headers, FAULT_REASON)
        raise TransientError(
            reason or f"simulated transient failure (attempt {context.attempt} of {failures} that fail)"
        )


def _failures_asked_for(headers: Headers) -> int:
    text = last_text(headers, TRANSIENT_FAILURES) or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0


def load_handler(name: str, demo: bool) -> Handler:
    """The function that `package.module:function` names; empty is the default. Raises SettingsError when there is none.

    `demo`: whether orders flow through the demo cluster. On a team's Kafka, whoever may write to the topic must not be
    able to make records fail, so the default handler looks at no header there.
    """
    if name in _NAMES_OF_DEFAULT:
        return simulate_failures if demo else accept
    module_name, _, function_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise _refused(name, f"the module {module_name} cannot be imported: {error}") from error
    except (SyntaxError, ValueError) as error:
        raise _refused(name, f"{module_name or 'it'} is no module: {error}") from error
    handler = getattr(module, function_name, None)
    if handler is None:
        raise _refused(name, f"the module {module_name} has no {function_name or 'function named'}")
    if not callable(handler):
        raise _refused(name, f"{function_name} is no function but of type {type(handler).__name__}")
    return handler  # type: ignore[no-any-return]


def name_of_handler(setting: str) -> str:
    """How dead letters name the handler of this setting."""
    return DEFAULT_NAME if setting in _NAMES_OF_DEFAULT else setting


def _refused(name: str, problem: str) -> SettingsError:
    return SettingsError(f"the handler {name} (ORDERPULSE_HANDLER) cannot be used: {problem}")
