"""The schema registry of the settings: what is found in it, what is waited for, and what is registered.

Whatever keeps an answer away becomes a RegistryUnavailableError in one line: what is wrong, where, and what to check.
A new client is made after each of them, so that certificates which were replaced are read again.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.error import OAuthTokenError

from pipeline.clock import Clock
from pipeline.errors import (
    RegistryUnavailableError,
    SchemaPendingError,
    SchemaRefusedError,
    SchemaUnusableError,
    SettingsError,
)
from pipeline.kafka.registries.answers import SUBJECT_UNKNOWN, UNKNOWN
from pipeline.kafka.registries.apicurio import by_apicurio_id
from pipeline.kafka.registries.confluent import by_guid, by_id
from pipeline.schema_source import RegisteredSchema, SchemaGuid, SchemaId, SchemaRef
from pipeline.settings import Settings, masked, variable_of

log = logging.getLogger(__name__)
# They write every request, with the password that its URL may hold.
for _chatty in ("httpx2", "httpcore2"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)

ANSWER_S = 3
"""A role says something at least every 5 s, or counts as silent."""

UNKNOWN_FOR_MS = 1000
"""So long what is not there is not asked for again. Short: it may be registered at any time."""

PENDING_FOR_MS = 8000
"""So long after it was first asked for an unknown schema may still come: replicas of a registry follow in seconds."""

MOST_PENDING = 100
"""So many unknown schemas may be waited for at a time. Garbage that looks like Avro has another one in every record."""

UNKNOWN_KEPT = 10_000
HIGHEST_ID = 2**31 - 1
"""Ids are positive 32-bit numbers. Not every registry takes a higher one for an id that is merely unknown."""

HIGHEST_APICURIO_ID = 2**63 - 1
"""Apicurio's own are positive 64-bit numbers."""

COMPATIBILITY = "BACKWARD"

_REFUSALS = (409, 422)
# What its client trips over when somebody else answers: no JSON, or JSON of another shape.
_STRANGE_ANSWERS = (ValueError, TypeError, AttributeError, KeyError, RecursionError)

_URL = variable_of("schema_registry_url")
_CONFIG = variable_of("schema_registry_config")

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Missing:
    """What was answered, and when; without a reason it is not there."""

    since_ms: int
    reason: str | None


class RegistryClient:
    """Asks the registry of the settings. Schemas that were found are never asked for again."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Raises SettingsError when the settings cannot be those of a client."""
        self._place = f"the schema registry at {masked(settings.schema_registry_url)}"
        # Roles wait between attempts by themselves, so its own retries are off.
        defaults = {"timeout": ANSWER_S, "max.retries": 0}
        self._config = defaults | settings.schema_registry_config | {"url": settings.schema_registry_url}
        self._clock = clock
        self._client: SchemaRegistryClient | None = None
        self._found: dict[SchemaRef, RegisteredSchema] = {}
        self._missing: dict[SchemaRef, Missing] = {}
        self._pending_since_ms: dict[SchemaRef, int] = {}
        self._was_pending: dict[SchemaRef, None] = {}
        self._unanswered: SchemaRef | None = None
        _check(self._config)

    def get(self, ref: SchemaRef) -> RegisteredSchema | None:
        """The schema with all that it needs; None when there is none.

        Raises RegistryUnavailableError, SchemaPendingError while there is none so far, and SchemaUnusableError when
        this registry can never give it.
        """
        if not _may_be(ref):
            return None
        found = self._found.get(ref) or self._asked_for(ref)
        if isinstance(found, str):
            raise SchemaUnusableError(found)
        if found is None:
            self._raise_while_pending(ref)
        return found

    def register(self, subject: str, text: str) -> int:
        """The id of our schema under this subject, registering it where need be.

        Raises RegistryUnavailableError, and SchemaRefusedError when the subject's rules do not allow it.
        """
        # A client of its own each time: a registry that was emptied must not be believed to have what it had.
        self._disconnect()
        schema_id = self._ask(f"subject {subject}", lambda client: _registered(client, subject, Schema(text, "AVRO")))
        if schema_id is None:
            raise RegistryUnavailableError(f"{self._place} does not know subject {subject} right after making it")
        log.info("orders are written with schema id %d of subject %s", schema_id, subject)
        return schema_id

    def recheck(self) -> None:
        """Asks again for what was not answered last, if anything. Raises RegistryUnavailableError."""
        if self._unanswered is not None:
            with suppress(SchemaPendingError, SchemaUnusableError):  # these are answers
                self.get(self._unanswered)

    def _asked_for(self, ref: SchemaRef) -> RegisteredSchema | str | None:
        """The schema, the reason why it cannot be used, or None; asked for once in a while."""
        if self._known_to_be_missing(ref):
            return self._missing[ref].reason
        self._unanswered = ref
        found: RegisteredSchema | str | None
        try:
            found = self._ask(str(ref), lambda client: _look_up(client, ref, self._place))
        except SchemaUnusableError as error:
            found = error.reason
        self._unanswered = None
        if found is not None:
            self._pending_since_ms.pop(ref, None)
        if isinstance(found, RegisteredSchema):
            self._found[ref] = found
        else:
            self._note_missing(ref, found)
        return found

    def _ask(self, what: str, call: Callable[[SchemaRegistryClient], Answer]) -> Answer | None:
        """The answer; None when what was asked for is not there."""
        try:
            return call(self._connected())
        except SchemaRegistryError as error:
            if error.error_code in UNKNOWN:
                return None
            trouble: Exception = error
        except (httpx2.HTTPError, httpx2.InvalidURL, OAuthTokenError, OSError, *_STRANGE_ANSWERS) as error:
            trouble = error
        self._disconnect()
        raise RegistryUnavailableError(f"{self._place} {_in_words(trouble, what)}") from trouble

    def _connected(self) -> SchemaRegistryClient:
        if self._client is None:
            self._client = SchemaRegistryClient(self._config)
        return self._client

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _known_to_be_missing(self, ref: SchemaRef) -> bool:
        missing = self._missing.get(ref)
        return missing is not None and 0 <= self._clock() - missing.since_ms < UNKNOWN_FOR_MS

    def _raise_while_pending(self, ref: SchemaRef) -> None:
        """Raises SchemaPendingError while it may still come; each time waits twice as long as the one before."""
        if ref not in self._pending_since_ms:
            if ref in self._was_pending or not self._may_wait():
                return
            self._pending_since_ms[ref] = self._clock()
        waited_ms = self._waited_ms(ref)
        if waited_ms < PENDING_FOR_MS:
            wait_ms = max(UNKNOWN_FOR_MS, waited_ms)
            raise SchemaPendingError(f"unknown {ref}, so far", wait_ms=wait_ms)
        self._give_up(ref)

    def _waited_ms(self, ref: SchemaRef) -> int:
        now_ms = self._clock()
        # A clock that was set back begins again.
        since_ms = self._pending_since_ms[ref] = min(now_ms, self._pending_since_ms[ref])
        return now_ms - since_ms

    def _may_wait(self) -> bool:
        if len(self._pending_since_ms) >= MOST_PENDING:
            for ref in list(self._pending_since_ms):
                if self._waited_ms(ref) >= PENDING_FOR_MS:
                    self._give_up(ref)
        return len(self._pending_since_ms) < MOST_PENDING

    def _give_up(self, ref: SchemaRef) -> None:
        del self._pending_since_ms[ref]
        if len(self._was_pending) >= UNKNOWN_KEPT:
            self._was_pending.clear()
        self._was_pending[ref] = None

    def _note_missing(self, ref: SchemaRef, reason: str | None) -> None:
        if len(self._missing) >= UNKNOWN_KEPT:
            self._missing.clear()
        self._missing[ref] = Missing(self._clock(), reason)


def _check(config: dict[str, object]) -> None:
    """Says at once what no waiting will mend; files may still come."""
    if not isinstance(config["timeout"], (int, float)):
        raise SettingsError(f"{_CONFIG}: timeout must be a number of seconds")
    try:
        SchemaRegistryClient({name: value for name, value in config.items() if not name.startswith("ssl.")}).close()
    except (httpx2.InvalidURL, *_STRANGE_ANSWERS) as error:
        raise SettingsError(f"{_CONFIG}: {_one_line(str(error))}") from error


def _look_up(client: SchemaRegistryClient, ref: SchemaRef, place: str) -> RegisteredSchema:
    if isinstance(ref, SchemaId):
        return by_id(client, ref)
    if isinstance(ref, SchemaGuid):
        return by_guid(client, ref, place)
    return by_apicurio_id(client, ref)


def _may_be(ref: SchemaRef) -> bool:
    if isinstance(ref, SchemaGuid):
        return True
    return 0 <= ref.value <= (HIGHEST_ID if isinstance(ref, SchemaId) else HIGHEST_APICURIO_ID)


def _registered(client: SchemaRegistryClient, subject: str, schema: Schema) -> int:
    # Looked up first: the account may be one that only reads, and a subject of somebody else keeps its rules.
    try:
        return _id_in(client.lookup_schema(subject, schema).schema_id)
    except SchemaRegistryError as error:
        if error.error_code not in UNKNOWN:
            raise
        if error.error_code == SUBJECT_UNKNOWN:
            client.set_compatibility(subject, COMPATIBILITY)
    try:
        return _id_in(client.register_schema(subject, schema))
    except SchemaRegistryError as error:
        if error.http_status_code not in _REFUSALS:
            raise
        reason = f"the schema registry refuses our schema for subject {subject}: {_one_line(error.error_message)}"
        raise SchemaRefusedError(reason) from error


def _id_in(told: int | None) -> int:
    if told is None:
        raise ValueError("an answer without an id")
    return told


def _in_words(trouble: Exception, what: str) -> str:
    """What is wrong and what to check, to go on from `the schema registry at …`."""
    if isinstance(trouble, SchemaRegistryError):
        return _status_in_words(trouble, what)
    if isinstance(trouble, (httpx2.TransportError, OSError)):
        return _transport_in_words(trouble)
    if isinstance(trouble, OAuthTokenError):
        return f"cannot be asked: there is no token from the token endpoint; check bearer.auth.* in {_CONFIG}"
    return f"does not answer as one ({type(trouble).__name__} at {what}); check {_URL} and its path"


def _status_in_words(error: SchemaRegistryError, what: str) -> str:
    status = error.http_status_code
    if status == 401:
        return f"refuses our user or password (401); check basic.auth.user.info in {_CONFIG}"
    if status == 403:
        return f"does not let us at {what} (403); check the account's rights, and the one in {_CONFIG}"
    if status >= 500 or status in (408, 429):
        return f"answers {status} to {what}; check how it does"
    return f"does not answer as one ({status} to {what}); check {_URL} and its path"


def _transport_in_words(error: Exception) -> str:
    tls = _cause_of(error, ssl.SSLError)
    if isinstance(tls, ssl.SSLCertVerificationError):
        why = _one_line(tls.verify_message)
        return f"has a certificate that is not trusted ({why}); check {_URL}, and ssl.ca.location in {_CONFIG}"
    if isinstance(tls, ssl.SSLError):
        why = tls.reason or _one_line(str(tls))
        return f"cannot be reached by TLS ({why}); check https in {_URL}, and ssl.* in {_CONFIG}"
    if isinstance(error, OSError):
        file = f"{error.filename}: " if error.filename else "a file of ssl.*: "
        return f"cannot be asked: {file}{error.strerror}; check {_CONFIG}"
    if isinstance(error, httpx2.TimeoutException):
        return f"does not answer in time; check {_URL} and that it runs"
    return f"does not answer ({_one_line(str(error)) or type(error).__name__}); check {_URL} and that it runs"


def _cause_of(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """The first of this kind in the chain of what led to an error."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, kind):
        found = found.__cause__ or found.__context__
    return found


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:300]
