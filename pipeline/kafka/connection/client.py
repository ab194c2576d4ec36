"""What every client of the library has in common: its properties, its complaints, and calls that wait for an answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, libversion

from pipeline.clock import Wait
from pipeline.errors import KafkaUnavailableError, SettingsError
from pipeline.kafka.cluster import Cluster
from pipeline.kafka.connection.properties import ClientKind, properties_for
from pipeline.kafka.connection.refusals import (
    CALLBACK_RAISED,
    CALLBACK_REFUSED,
    NO_TOKEN,
    NOTHING_SPECIAL,
    Asked,
    broker_in,
    in_words,
    is_refusal,
)
from pipeline.kafka.connection.tokens import TokenCallback, token_source, with_authorities
from pipeline.settings import Settings, variable_of, without_secrets
from pipeline.version import VERSION

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")
ANSWER_S = 4.0
"""A call cannot be interrupted; a role that is asked to end in the middle of one has still to end within 5 s."""
TRIES_S = (0.5, 1.0, 2.5)
"""How long each try for an answer waits: a refusal is known after the first one, a slow cluster has the last one."""
_NOT_KNOWN_YET = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}
)
SPREADING_S = (0.05, 0.1, 0.2, 0.4, 0.8)
"""How long to wait, look by look, until a new topic is known to the brokers; after that its use shows what is wrong."""
LEAVE_S = 2.0
AT_WORK = frozenset({"UP", "UPDATE", "INIT"})
"""A broker's states in librdkafka's statistics when all is well with it, or when it was not needed yet."""
MAX_MESSAGE_BYTES = 64_000_000
"""Larger than any broker's default, so that it is the broker who says no."""


SILENT = logging.getLogger("librdkafka")
SILENT.addHandler(logging.NullHandler())
SILENT.propagate = False
"""What librdkafka would print by itself, we say in our words; see `error_cb`."""


class Trouble:
    """Collects what librdkafka reports from its threads and says it in one line."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.last = ""
        """What it complained of last; empty when all is well."""
        self.refusal = ""
        """The first time that a broker turned us away, if any did; brokers that do not answer are no refusal."""
        self.refused_by = ""
        """The address of that broker."""
        self.without_token = False
        """Whether no token came when the client wanted one; it may have one still."""
        self.token_source = ""
        """Where the client's tokens come from; empty if it has none."""
        self.settings: Settings | None = None
        """Those of the client, once it has some: what they hold of secrets is kept out of texts."""

    def __call__(self, error: KafkaError) -> None:
        log.debug("librdkafka: %s", error.str())
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            # It says less than what came before it, if anything did.
            no_broker = f"no connection to {self._cluster.bootstrap_servers}"
            self.last = self.last or in_words(error.name(), no_broker)
            return
        self.without_token = self.without_token or NO_TOKEN in error.str()
        if CALLBACK_RAISED in error.str() and self.last:
            return  # the callback has said why
        said = without_secrets(self.settings, error.str()) if self.settings else error.str()
        self.last = in_words(error.name(), said, token_source=self.token_source)
        if is_refusal(error.name(), error.str()) and not self.refusal:
            self.refusal, self.refused_by = self.last, broker_in(error.str())

    def on_stats(self, statistics: str) -> None:
        """Takes the library's word for it that every broker is connected again."""
        if self.last and not self.refusal:
            brokers = json.loads(statistics)["brokers"].values()
            at_work = [broker["state"] in AT_WORK for broker in brokers if broker["nodeid"] >= 0]
            if at_work and all(at_work):
                self.clear()

    def no_token(self, why: str) -> None:
        """Takes note that the token callback gave none; the client goes on with the one it has."""
        self.last = why

    def clear(self) -> None:
        """All is well again."""
        self.last = self.refusal = ""
        self.without_token = False

    def explain(self, doing: str, error: Exception | None, asked: Asked = NOTHING_SPECIAL) -> str:
        """Why `doing` something failed: the refusal if there was one, else what is known of the error."""
        text = words_of(error.args[0], asked) if isinstance(error, KafkaException) else "no answer"
        known = self.refusal or (self.last if not isinstance(error, KafkaException) or _vague(error.args[0]) else "")
        return f"{doing}: {known or text}"


def words_of(error: KafkaError, asked: Asked = NOTHING_SPECIAL) -> str:
    """The library's error in our words."""
    return in_words(error.name(), error.str(), asked)


def _vague(error: KafkaError) -> bool:
    return error.code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN)


def new_client(make: Callable[[dict[str, Any]], Any], settings: Settings, config: dict[str, Any]) -> Any:
    """A client of the library.

    Raises SettingsError when it does not take the properties, KafkaUnavailableError when the token callback fails.
    """
    if isinstance(callback := config.get("oauth_cb"), TokenCallback):
        callback.prepare(config.get("sasl.oauthbearer.config"))
    try:
        return make(config)
    except (KafkaException, TypeError, ValueError) as error:
        text = error.args[0].str() if isinstance(error, KafkaException) else str(error)
        if CALLBACK_REFUSED in text:
            raise KafkaUnavailableError(
                f"no token from {token_source(settings)} ({variable_of('kafka_token_callback')}): the client library "
                f"does not take what it returned; it may have expired already ({text})"
            ) from error
        line = " ".join(without_secrets(settings, text).split())
        raise SettingsError(f"{variable_of('kafka_config')}: {line}") from error


def client_config(settings: Settings, cluster: Cluster, kind: ClientKind, trouble: Trouble) -> dict[str, Any]:
    """The properties of a client: ours, and over them those of the settings."""
    given = with_authorities(properties_for(settings, kind))
    trouble.settings, trouble.token_source = settings, token_source(settings)
    ours: dict[str, Any] = {
        "bootstrap.servers": cluster.bootstrap_servers,
        "client.id": f"{settings.group_id}-{kind}",
        # Brokers show it beside the client id, which has no version in it: quotas are by exact client id.
        "client.software.name": "orderpulse",
        "client.software.version": f"{VERSION}-rdkafka-{libversion()[0]}",
        # Broker restarts are ordinary; the default of 10 s is a long time on a page.
        "reconnect.backoff.max.ms": 1000,
        "log_level": 2,
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "receive.message.max.bytes": 4 * MAX_MESSAGE_BYTES,
    }
    if not {"debug", "log_level"} & given.keys():
        ours["logger"] = SILENT
    if settings.kafka_token_callback:
        ours["oauth_cb"] = TokenCallback(settings.kafka_token_callback, trouble.no_token)
    return {"error_cb": trouble} | ours | given


def answered(doing: str, call: Callable[..., Any], *args: Any, asked: Asked = NOTHING_SPECIAL, **options: Any) -> Any:
    """What a call answers. Raises KafkaUnavailableError with what we were `doing` when it fails."""
    try:
        return call(*args, **options)
    except KafkaException as error:
        raise KafkaUnavailableError(f"{doing}: {words_of(error.args[0], asked)}") from error


def retry_until_known(ask: Callable[[], _Answer], wait: Wait) -> _Answer:
    """An answer about a topic, which a broker can give a moment after the controller has made the topic.

    Once `wait` says that the process is to stop, it asks a last time.
    """
    for wait_s in SPREADING_S:
        try:
            return ask()
        except KafkaException as error:
            if not is_not_known_yet(error):
                raise
        if wait(wait_s):
            break
    return ask()


def is_not_known_yet(answer: object) -> bool:
    """Whether this is an error about a topic that may be over in a moment."""
    return isinstance(answer, KafkaException) and answer.args[0].code() in _NOT_KNOWN_YET
