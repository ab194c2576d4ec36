"""The rules an order must keep, read from a TOML file and read again whenever that file changes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from pipeline.errors import RuleBrokenError, RulesFileError
from pipeline.orders.columns import Flags, OrderColumns
from pipeline.orders.fields import TextFieldName
from pipeline.records import Order

# Reading the file is an event too ("opened", "closed_no_write"): following those would never end.
_CHANGES = frozenset({"created", "modified", "moved", "deleted", "closed"})
_JOIN_TIMEOUT_S = 5.0


def _to_cents(value: object) -> int:
    """Cents of a price in the file, exactly. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("must be an amount such as 0.01")
    try:
        cents = Decimal(value) * 100
    except InvalidOperation as error:
        raise ValueError(f"must be an amount such as 0.01, not {value!r}") from error
    if not cents.is_finite() or abs(cents) > 10**15 or cents != int(cents):
        raise ValueError(f"must be an amount in whole cents, not {value}")
    return int(cents)


Cents = Annotated[int, BeforeValidator(_to_cents)]
Seconds = Annotated[int, Field(ge=0, le=10**10)]


class Rules(BaseModel):
    """The rules of one state of the file; field names are the file's, but for the prices."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    # What is in the shipped file must be there, so that a half-written file is not taken for one with few rules.
    required: list[TextFieldName]
    price_min_cents: Cents = Field(alias="price_min")
    price_max_cents: Cents = Field(alias="price_max")
    max_ahead_s: Seconds
    max_age_s: Seconds | None = None
    products: Annotated[list[str], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _minimum_is_not_above_maximum(self) -> Self:
        if self.price_min_cents > self.price_max_cents:
            raise ValueError("price_min is above price_max")
        return self

    def check(self, order: Order, now_ms: int) -> None:
        """Raises RuleBrokenError with the first rule that the order breaks at this time."""
        self._check_required(order)
        self._check_price(order.price_cents)
        self._check_product(order.product)
        self._check_time(order.created_at_ms, now_ms)

    def valid_mask(self, orders: OrderColumns, now_ms: int) -> Flags:
        """Which of many orders keep every rule at this time: those that `check` would say nothing of."""
        ahead_ms = orders.created_at_ms - now_ms
        kept: Flags = (orders.prices_cents >= self.price_min_cents) & (orders.prices_cents <= self.price_max_cents)
        kept &= ahead_ms <= self.max_ahead_s * 1000
        if self.max_age_s is not None:
            kept &= ahead_ms >= -self.max_age_s * 1000
        if self.products is not None:
            known = frozenset(self.products)
            kept &= np.fromiter((product in known for product in orders.products), np.bool_, len(orders))
        for name in self.required:
            texts = orders.texts[name]
            # That all are there is the common case, and is seen without a look at each from here.
            if not all(map(str.strip, texts)):
                kept &= np.fromiter((bool(text.strip()) for text in texts), np.bool_, len(orders))
        return kept

    def _check_required(self, order: Order) -> None:
        for name in self.required:
            if not getattr(order, name).strip():
                raise RuleBrokenError(f"{name} is empty", "required")

    def _check_price(self, cents: int) -> None:
        if cents < self.price_min_cents:
            raise RuleBrokenError(f"price {_money(cents)} is below the minimum {_money(self.price_min_cents)}", "price")
        if cents > self.price_max_cents:
            raise RuleBrokenError(f"price {_money(cents)} is above the maximum {_money(self.price_max_cents)}", "price")

    def _check_product(self, product: str) -> None:
        if self.products is not None and product not in self.products:
            raise RuleBrokenError(f"product {product!r} is not a known product", "product")

    def _check_time(self, created_at_ms: int, now_ms: int) -> None:
        ahead_ms = created_at_ms - now_ms
        if ahead_ms > self.max_ahead_s * 1000:
            raise RuleBrokenError(
                f"created_at is {_seconds(ahead_ms)} s ahead, more than the {self.max_ahead_s} s allowed", "ahead"
            )
        if self.max_age_s is not None and -ahead_ms > self.max_age_s * 1000:
            raise RuleBrokenError(
                f"created_at is {_seconds(-ahead_ms)} s ago, more than the {self.max_age_s} s allowed", "age"
            )


def _money(cents: int) -> str:
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole}.{rest:02}"


def _seconds(millis: int) -> str:
    return f"{Decimal(millis) / 1000:f}"


def load_rules(path: Path) -> Rules:
    """Reads a rules file. Raises RulesFileError with one line: the file, the line or field, what is allowed."""
    return _parse(path, _read(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RulesFileError(f"the rules file {path} cannot be read: {error.strerror}") from error


def _parse(path: Path, content: bytes) -> Rules:
    try:
        # A price written as a number must not pass through a float.
        table = tomllib.loads(content.decode("utf-8"), parse_float=Decimal)
        return Rules.model_validate(table)
    except UnicodeDecodeError as error:
        raise RulesFileError(f"the rules file {path} is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise RulesFileError(f"the rules file {path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise RulesFileError(f"the rules file {path} is nested too deeply") from error
    except ValidationError as error:
        problems = "; ".join(_problem(problem, content.decode()) for problem in error.errors(include_url=False))
        raise RulesFileError(f"the rules file {path}: {problems}") from error


def _problem(problem: Any, text: str) -> str:
    """One fault in words: where it is, and what is allowed there."""
    name = str(problem["loc"][0]) if problem["loc"] else ""
    if problem["type"] == "missing":
        return f"{name} is missing"
    if problem["type"] == "extra_forbidden":
        known = ", ".join(field.alias or key for key, field in Rules.model_fields.items())
        return f"{_line_of(name, text)}{name} is no rule; there are {known}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{_line_of(name, text)}{name}: {message}" if name else message


def _line_of(name: str, text: str) -> str:
    for number, line in enumerate(text.splitlines(), start=1):
        if re.match(rf"\s*\[*\s*[\"']?{re.escape(name)}\b", line):
            return f"line {number}: "
    return ""


@dataclass(frozen=True, slots=True)
class _State:
    rules: Rules
    version: str
    error: str = ""


class RulesFile:
    """The rules as the file has them now. A change that cannot be used leaves the old rules in force.

    Between `start` and `stop` (or in a `with` block) the file is watched. `on_change` is called, in the watching
    thread, after the rules or the error changed. Safe to read from any thread.
    """

    def __init__(self, path: Path, on_change: Callable[[], None] | None = None) -> None:
        """Reads the file. Raises RulesFileError when it cannot be used: there are no old rules yet."""
        self.path = path
        self._on_change = on_change
        self._lock = threading.Lock()
        content = _read(path)
        self._state = _State(_parse(path, content), _version(content))
        self._watcher: _Watcher | None = None

    @property
    def rules(self) -> Rules:
        """The rules in force."""
        return self._state.rules

    @property
    def version(self) -> str:
        """A short hash of the file that the rules in force came from."""
        return self._state.version

    @property
    def error(self) -> str:
        """Why the file as it is now cannot be used; empty when it can."""
        return self._state.error

    def refresh(self) -> None:
        """Reads the file again, now."""
        with self._lock:
            before = self._state
            # One assignment: a reader sees the old rules or the new ones, never a mixture.
            self._state = _next_state(self.path, before)
            changed = self._state != before
        if changed and self._on_change is not None:
            self._on_change()

    def start(self) -> None:
        """Begins to watch the file. Raises RulesFileError when the system refuses that."""
        watcher = _Watcher(self.path, self.refresh)
        try:
            watcher.start()
        except OSError as error:
            raise RulesFileError(f"the rules file {self.path} cannot be watched: {error.strerror}") from error
        self._watcher = watcher
        # What changed between reading and watching has caused no event.
        self.refresh()

    def stop(self) -> None:
        """Ends watching."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _version(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=6).hexdigest()


def _next_state(path: Path, before: _State) -> _State:
    try:
        content = _read(path)
        return _State(_parse(path, content), _version(content))
    except RulesFileError as error:
        return _State(before.rules, before.version, str(error))


class _Watcher(FileSystemEventHandler):
    """Calls back after every change in the folder of a file, and in the folder that its symbolic links lead to.

    The folder is watched, not the file: editors put a new file in the old one's place, and a mounted ConfigMap moves
    a link beside it.
    """

    def __init__(self, path: Path, on_change: Callable[[], None]) -> None:
        self._path = path
        self._on_change = on_change
        self._observer: BaseObserver = Observer()
        self._watches: dict[Path, ObservedWatch] = {}

    def start(self) -> None:
        self._follow()
        self._observer.start()

    def stop(self) -> None:
        self._observer.stop()
        self._observer.join(_JOIN_TIMEOUT_S)

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in _CHANGES:
            # A folder may go just as it is to be watched; what led to it is still watched and tells of the next one.
            with contextlib.suppress(OSError):
                self._follow()
            self._on_change()

    def _follow(self) -> None:
        """Watches where the links lead to now, and no longer where they led to."""
        # Not Path.resolve: it raises on links that go round in a circle.
        folders = {self._path.absolute().parent, Path(os.path.realpath(self._path)).parent}
        for folder in self._watches.keys() - folders:
            self._observer.unschedule(self._watches.pop(folder))
        for folder in folders - self._watches.keys():
            if folder.is_dir():
                self._watches[folder] = self._observer.schedule(self, str(folder))
