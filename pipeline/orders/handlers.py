"""What is done with a valid order. A team puts its own function in the place of `accept`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from pipeline.errors import SettingsError, TransientError
from pipeline.headers.dialects.orderpulse import FAULT_REASON, TRANSIENT_FAILURES, last_text
from pipeline.records import Headers, Order, RecordContext

Handler = Callable[[Order, RecordContext], object]
"""Called once for every attempt at an order. Returning accepts it, whatever is returned.

Raises TransientError to be called again after a backoff, PermanentError to make the record a dead letter.
"""


def accept(order: Order, context: RecordContext) -> None:
    """Accepts every order, unless its headers ask for a failure to be simulated.

    A header `orderpulse.fault.transient-failures` of N makes the first N attempts fail; `orderpulse.fault.reason` is
    what they say then.
    """
    failures = _failures_asked_for(context.headers)
    if context.attempt <= failures:
        reason = last_text(context.headers, FAULT_REASON)
        raise TransientError(
            reason or f"simulated transient failure (attempt {context.attempt} of {failures} that fail)"
        )


HEADERS_LOOKED_AT: Mapping[Handler, frozenset[str]] = {accept: frozenset({TRANSIENT_FAILURES})}
"""Handlers that do nothing with a record that has none of these headers, so that they need not be called for it."""


def _failures_asked_for(headers: Headers) -> int:
    text = last_text(headers, TRANSIENT_FAILURES) or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0


def load_handler(name: str) -> Handler:
    """The function that `package.module:function` names. Raises SettingsError when there is none."""
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


def _refused(name: str, problem: str) -> SettingsError:
    return SettingsError(f"the handler {name} (ORDERPULSE_HANDLER) cannot be used: {problem}")
