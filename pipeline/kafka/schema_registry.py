"""The schema registry: the only module that imports confluent_kafka's registry client.

Whatever keeps an answer away becomes a RegistryUnavailableError in one line: what is wrong, where, and what to check.
A new client is made after each of them, so that certificates which were replaced are read again.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.error import OAuthTokenError

from pipeline.clock import Clock
from pipeline.errors import RegistryUnavailableError, SchemaPendingError, SchemaRefusedError, SettingsError
from pipeline.settings import Settings, masked, variable_of

log = logging.getLogger(__name__)
# They write every request, with the password that its URL may hold.
for _chatty in ("httpx2", "httpcore2"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)

ANSWER_S = 3
"""A role says something at least every 5 s, or counts as silent."""

UNKNOWN_FOR_MS = 1000
"""So long an unknown id is not asked for again. Short: it may be registered at any time."""

PENDING_FOR_MS = 8000
"""So long after it was first asked for an unknown id may still come: replicas of a registry follow in seconds."""

MOST_PENDING = 100
"""So many unknown ids may be waited for at a time. Garbage that looks like Avro has another one in every record."""

UNKNOWN_KEPT = 10_000
HIGHEST_ID = 2**31 - 1
"""Ids are positive 32-bit numbers. Not every registry takes a higher one for an id that is merely unknown."""

COMPATIBILITY = "BACKWARD"

# https://docs.confluent.io/platform/current/schema-registry/develop/api.html#errors
_SUBJECT_UNKNOWN = 40401
_VERSION_UNKNOWN = 40402
_SCHEMA_UNKNOWN = 40403
_UNKNOWN = (_SUBJECT_UNKNOWN, _VERSION_UNKNOWN, _SCHEMA_UNKNOWN)
_REFUSALS = (409, 422)
# What its client trips over when somebody else answers: no JSON, or JSON of another shape.
_STRANGE_ANSWERS = (ValueError, TypeError, AttributeError, KeyError)

_URL = variable_of("schema_registry_url")
_CONFIG = variable_of("schema_registry_config")

Answer = TypeVar("Answer")


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
        self._unknown_since_ms: dict[int, int] = {}
        self._pending_since_ms: dict[int, int] = {}
        self._was_pending: dict[int, None] = {}
        self._unanswered_id: int | None = None
        _check(self._config)

    def get_by_id(self, schema_id: int) -> tuple[str, ...] | None:
        """The schema's JSON text, after the texts of those it refers to; None when there is none.

        Raises RegistryUnavailableError, and SchemaPendingError while there is none so far.
        """
        if schema_id > HIGHEST_ID:
            return None
        if not self._known_to_be_unknown(schema_id):
            self._unanswered_id = schema_id
            texts = self._ask(f"schema id {schema_id}", lambda client: _schema_texts(client, schema_id))
            self._unanswered_id = None
            if texts is not None:
                self._pending_since_ms.pop(schema_id, None)
                return texts
            self._note_unknown(schema_id)
        self._raise_while_pending(schema_id)
        return None

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
        if self._unanswered_id is not None:
            with suppress(SchemaPendingError):  # that is an answer
                self.get_by_id(self._unanswered_id)

    def _ask(self, what: str, call: Callable[[SchemaRegistryClient], Answer]) -> Answer | None:
        """The answer; None when what was asked for is not there."""
        try:
            return call(self._connected())
        except SchemaRegistryError as error:
            if error.error_code in _UNKNOWN:
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

    def _known_to_be_unknown(self, schema_id: int) -> bool:
        since_ms = self._unknown_since_ms.get(schema_id)
        return since_ms is not None and 0 <= self._clock() - since_ms < UNKNOWN_FOR_MS

    def _raise_while_pending(self, schema_id: int) -> None:
        """Raises SchemaPendingError while an unknown id may still come; each waits twice as long as the time before."""
        if schema_id not in self._pending_since_ms:
            if schema_id in self._was_pending or not self._may_wait():
                return
            self._pending_since_ms[schema_id] = self._clock()
        waited_ms = self._waited_ms(schema_id)
        if waited_ms < PENDING_FOR_MS:
            wait_ms = max(UNKNOWN_FOR_MS, waited_ms)
            raise SchemaPendingError(f"unknown schema id {schema_id}, so far", wait_ms=wait_ms)
        self._give_up(schema_id)

    def _waited_ms(self, schema_id: int) -> int:
        now_ms = self._clock()
        # A clock that was set back begins again.
        since_ms = self._pending_since_ms[schema_id] = min(now_ms, self._pending_since_ms[schema_id])
        return now_ms - since_ms

    def _may_wait(self) -> bool:
        if len(self._pending_since_ms) >= MOST_PENDING:
            for schema_id in list(self._pending_since_ms):
                if self._waited_ms(schema_id) >= PENDING_FOR_MS:
                    self._give_up(schema_id)
        return len(self._pending_since_ms) < MOST_PENDING

    def _give_up(self, schema_id: int) -> None:
        del self._pending_since_ms[schema_id]
        if len(self._was_pending) >= UNKNOWN_KEPT:
            self._was_pending.clear()
        self._was_pending[schema_id] = None

    def _note_unknown(self, schema_id: int) -> None:
        if len(self._unknown_since_ms) >= UNKNOWN_KEPT:
            self._unknown_since_ms.clear()
        self._unknown_since_ms[schema_id] = self._clock()


def _check(config: dict[str, object]) -> None:
    """Says at once what no waiting will mend; files may still come."""
    if not isinstance(config["timeout"], (int, float)):
        raise SettingsError(f"{_CONFIG}: timeout must be a number of seconds")
    try:
        SchemaRegistryClient({name: value for name, value in config.items() if not name.startswith("ssl.")}).close()
    except (httpx2.InvalidURL, *_STRANGE_ANSWERS) as error:
        raise SettingsError(f"{_CONFIG}: {_one_line(str(error))}") from error


def _schema_texts(client: SchemaRegistryClient, schema_id: int) -> tuple[str, ...]:
    texts: list[str] = []
    _collect(client, client.get_schema(schema_id), set(), texts)
    return tuple(texts)


def _collect(client: SchemaRegistryClient, schema: Schema, seen: set[tuple[str, int]], texts: list[str]) -> None:
    """Adds the text of a schema behind those of the schemas it refers to, each once."""
    if schema.schema_str is None:
        raise ValueError("an answer without a schema")
    for reference in schema.references or []:
        if reference.subject is None or reference.version is None:
            raise ValueError("a reference to nothing")
        if (reference.subject, reference.version) not in seen:
            seen.add((reference.subject, reference.version))
            # Deleted ones too: records that were written with them are still there.
            found = client.get_version(reference.subject, reference.version, deleted=True)
            _collect(client, found.schema, seen, texts)
    texts.append(schema.schema_str)


def _registered(client: SchemaRegistryClient, subject: str, schema: Schema) -> int:
    # Looked up first: the account may be one that only reads, and a subject of somebody else keeps its rules.
    try:
        return _id_in(client.lookup_schema(subject, schema).schema_id)
    except SchemaRegistryError as error:
        if error.error_code not in _UNKNOWN:
            raise
        if error.error_code == _SUBJECT_UNKNOWN:
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
