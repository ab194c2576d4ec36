"""Every setting, declared once: name, type, default, help. The docs' table is made from here.

The environment variable `ORDERPULSE_<NAME>` (or a line in `.env`) sets it; `ORDERPULSE_<NAME>_FILE`, in either, names a
file that holds the value, for secrets.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from pipeline.environment import (
    env_file_variables,
    json_object,
    near_match_hint,
    split_addresses,
    split_list,
    written_values,
)
from pipeline.errors import SettingsError, UsageError
from pipeline.setting_values import (
    NamesAndPatterns,
    check_alert_addresses,
    check_brokers,
    check_properties,
    check_topics_and_patterns,
    is_http_url,
    protocols_of,
)
from pipeline.starts import start_of

ENV_PREFIX = "ORDERPULSE_"
PROJECT_DIR = Path(__file__).resolve().parent.parent
MASK = "********"
_SECRET_PROPERTY = re.compile(r"pas|secret|\.pem$|ssl_key|oauthbearer\.config|jaas|token$|user\.info", re.IGNORECASE)
# Up to the last @: a password may have one, or a slash, that ought to have been escaped.
_SECRET_IN_URL = re.compile(r"(?<=://)\S*(?=@)")
_ALL_OF_URL = re.compile(r"(?<=://).+", re.DOTALL)


class Settings(BaseModel):
    """All settings of all roles. Immutable; read once at the entry point and passed on."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        # A value in an error may be a secret.
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    # Where things are
    data_dir: Path = Field(PROJECT_DIR / "data", description="Folder of the buffer, the lock and the roles' status.")
    bootstrap_servers: str = Field("", description="Kafka's addresses, `host:port,…`. Empty: the demo cluster.")
    schema_registry_url: str = Field("", description="Confluent-compatible registry. Empty: the schemas folder.")
    schema_registry_config: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="JSON object of confluent-kafka's registry client properties (`basic.auth.user.info`, `ssl.…`).",
    )
    schemas_dir: Path = Field(
        PROJECT_DIR / "schemas", description="Folder of the Avro schemas: ours, and without a registry those of others."
    )
    kafka_config: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="JSON object of librdkafka properties (TLS, SASL, tuning) for every client.",
    )
    kafka_token_callback: str = Field(
        "", description="Function that gives tokens for SASL/OAUTHBEARER, `module:function`; see docs/connecting.md."
    )

    # What is read and written
    roles: tuple[str, ...] = Field(
        ("processor", "collector", "worker"),
        description="Roles that `up` starts, with commas between or a JSON array. Leave out `processor` to use the "
        "workbench alone.",
    )
    processors: int = Field(1, ge=1, le=64, description="Processors that `up` starts; they share the partitions.")
    orders_topic: str = Field(
        "orders",
        min_length=1,
        description="Topics of the orders, listed as in `DLQ_TOPICS`. What a pattern takes in is read once the mapping "
        "file has a section for it. Sample orders go to the first plain name.",
    )
    start: str = Field(
        "earliest",
        description="Where a topic of the orders that is met for the first time begins: `earliest`, `latest` or a "
        "time such as 2026-03-01T12:00:00Z. Later on it has no effect, and `reread --from` does the same.",
    )
    dlq_topics: tuple[str, ...] = Field(
        ("orders-dlq",),
        description="Dead-letter topics to collect, with commas between or a JSON array; one that begins with `^` is a "
        "pattern. The first plain name is where our own dead letters go; without one it is that of the orders and "
        "`-dlq`.",
    )
    dead_letters_file: Path = Field(
        PROJECT_DIR / "dead-letters.toml",
        description="What is said of dead-letter topics: where their records came from, which header is the reason. It "
        "need not be there; read again when it changes.",
    )
    mapping_file: Path = Field(
        PROJECT_DIR / "mapping.toml",
        description="What in a topic's records is an order: see docs/mapping.md. It need not be there: topics hold "
        "`Order` of the schemas folder then; read again when it changes.",
    )
    topic_partitions: int = Field(
        0, ge=0, le=100_000, description="Partitions of a topic that we make; 0: the broker's default."
    )
    topic_replication: int = Field(
        0, ge=0, le=10_000, description="Replicas of a topic that we make; 0: the broker's default."
    )
    orders_retention_h: int = Field(
        0,
        ge=-1,
        le=10**9,
        description="Hours that an orders topic we make keeps records; 0: the broker's default, -1: for ever.",
    )
    dlq_retention_h: int = Field(0, ge=-1, le=10**9, description="The same for a dead-letter topic that we make.")
    group_id: str = Field("orderpulse", min_length=1, description="Consumer group of the processors.")

    # How records are judged
    rules_file: Path = Field(PROJECT_DIR / "rules.toml", description="Validation rules; read again when it changes.")
    handler: str = Field("", description="What is done with a valid order, `module:function`. Empty: it is accepted.")
    retry_preset: Literal["exponential", "fixed", "none"] = Field(
        "exponential",
        description="`exponential`: full jitter; `fixed`: 3 retries, 2 s apart; `none`: dead letter at once.",
    )
    retry_max: int = Field(5, ge=0, le=1000, description="Retries after the first attempt (exponential).")
    retry_base_ms: int = Field(
        500, ge=1, le=10**12, description="Backoff before the first retry, at most (exponential)."
    )
    retry_cap_ms: int = Field(60_000, ge=1, le=10**12, description="Longest backoff before any retry (exponential).")
    max_parked: int = Field(
        50_000, ge=1, le=10**9, description="Parked records a processor holds before it stops reading."
    )
    brake_share: float = Field(
        0, ge=0, le=1, description="Share of failed orders that stops reading until somebody lets it go on. 0: none."
    )
    brake_window_s: int = Field(60, ge=1, le=86_400, description="Seconds over which that share is counted.")
    brake_min_records: int = Field(
        100, ge=1, le=10**9, description="Orders that must have come in that time before the share counts."
    )
    replay_limit: int = Field(
        3, ge=1, le=10**9, description="Replays of the same record before a replay must be forced."
    )

    # The app
    autostart: bool = Field(True, description="Let the app start the pipeline when none runs on its data folder.")
    read_only: bool = Field(False, description="Show everything, allow no produce, replay, triage or cancel.")
    refresh_ms: int = Field(
        1000, ge=0, le=86_400_000, description="Time between two refreshes of the pages; 0 stops them."
    )
    export_max_rows: int = Field(
        1_000_000, ge=1, le=10**12, description="Rows a page's export holds at most; the CLI has no cap."
    )
    export_max_mb: int = Field(
        1000, ge=1, le=10**6, description="Megabytes a page's export holds, and a quarter of its free disk, at most."
    )

    # Watching
    alert_dead_letter_rate: float = Field(
        0.05, gt=0, le=1, description="Share of dead letters in the alert window that raises an alert."
    )
    alert_min_records: int = Field(
        20, ge=1, le=10**12, description="Records the window must hold before the share counts."
    )
    alert_window_s: int = Field(300, ge=1, le=10**9, description="Length of the alert window in seconds.")
    alert_end_share: float = Field(
        0.8, gt=0, le=1, description="Part of that share below which dead letters must fall before their alert ends."
    )
    alert_hold_s: int = Field(
        60,
        ge=0,
        le=10**9,
        description="Seconds for which all must have been well before an alert ends.",
    )
    alert_disk_share: float = Field(
        0.95, gt=0, le=1, description="Share of the buffer's disk in use that raises an alert."
    )
    alert_trouble_s: int = Field(
        30, ge=1, le=10**9, description="Seconds that a role may wait, fail or be held up before that raises an alert."
    )
    alert_groups: tuple[str, ...] = Field(
        ("regressed", "escalating"),
        description="States of groups of dead letters that raise an alert: new, regressed, escalating. Empty: none.",
    )
    alert_urls: tuple[str, ...] = Field(
        (), repr=False, description="Where alerts go: Apprise URLs, with commas between or a JSON array."
    )
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of the worker's Prometheus metrics; 0: off.")
    metrics_address: str = Field("127.0.0.1", description="Address that the metrics are served on.")
    orders_kept_days: float = Field(
        0, ge=0, le=36_500, description="Days that an order stays in the buffer; it stays in the figures. 0: no limit."
    )
    replayed_settled_after_h: float = Field(
        0,
        ge=0,
        description="Hours after which a replayed dead letter without an outcome counts as recovered; 0 is never. "
        "For dead letters of applications of your own, whose outcome nobody tells.",
    )
    dead_letters_kept_days: float = Field(
        0, ge=0, le=36_500, description="Days that a settled dead letter stays, with its replays. 0: no limit."
    )
    buffer_max_mb: int = Field(
        0,
        ge=0,
        le=10**9,
        description="Megabytes the buffer may take; above it the oldest orders and settled dead letters go. 0: any.",
    )
    seconds_kept_s: int = Field(3600, ge=60, le=10**9, description="How long per-second figures are kept.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")

    @field_validator("*", mode="before")
    @classmethod
    def _not_blank(cls, value: object, info: ValidationInfo) -> object:
        name = info.field_name or ""
        if value == "" and name not in _MAY_BE_EMPTY:
            default = masked(cls.model_fields[name].get_default(call_default_factory=True))
            raise ValueError(f"is empty; leave it out, which means {default}, or give it a value")
        return value

    @field_validator("roles", "dlq_topics", "alert_groups", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return split_list(value) if isinstance(value, str) else value

    @field_validator("alert_urls", mode="before")
    @classmethod
    def _addresses(cls, value: object) -> object:
        return split_addresses(value) if isinstance(value, str) else value

    @field_validator("alert_urls")
    @classmethod
    def _with_schemes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_alert_addresses(value)
        return value

    @field_validator("roles")
    @classmethod
    def _known_roles(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("names no role; there are processor, collector, worker")
        unknown = set(value) - {"processor", "collector", "worker"}
        if unknown:
            raise ValueError(f"unknown role {', '.join(sorted(unknown))}; there are processor, collector, worker")
        return value

    @field_validator("bootstrap_servers")
    @classmethod
    def _addresses_of_brokers(cls, value: str) -> str:
        check_brokers(value)
        return value

    @field_validator("orders_topic")
    @classmethod
    def _orders_topics(cls, value: str) -> str:
        topics = split_list(value)
        if not topics:
            raise ValueError("names no topic")
        check_topics_and_patterns(topics)
        return value

    @field_validator("start")
    @classmethod
    def _place_to_begin(cls, value: str) -> str:
        try:
            start_of(value)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("alert_groups")
    @classmethod
    def _known_states(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(value) - {"new", "regressed", "escalating"}:
            raise ValueError(f"unknown state {', '.join(sorted(unknown))}; there are new, regressed, escalating")
        return value

    @field_validator("dlq_topics")
    @classmethod
    def _topics_and_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_topics_and_patterns(value)
        return value

    @model_validator(mode="after")
    def _orders_are_no_dead_letters(self) -> Self:
        if self.own_orders_topic is None and all(topic.startswith("^") for topic in self.dlq_topics):
            raise ValueError(
                f"{variable_of('dlq_topics')}: must name a topic plainly, for our own dead letters, where "
                f"{variable_of('orders_topic')} has patterns only"
            )
        collected = self.collected_topics
        patterns = collected.patterns if self.sends_orders else ()
        for topic in self.orders_topics.names:
            taken_in = next((each.pattern for each in patterns if each.search(topic)), None)
            if taken_in or topic in collected.names:
                raise ValueError(
                    f"{variable_of('dlq_topics')}: {taken_in or topic} takes in {topic}, "
                    f"the topic of the orders ({variable_of('orders_topic')}); name another one"
                )
        return self

    @model_validator(mode="after")
    def _kafka_that_can_be(self) -> Self:
        config = variable_of("kafka_config")
        protocol = str(self.kafka_config.get("security.protocol", "plaintext")).lower()
        if self.demo and protocol != "plaintext":
            raise ValueError(
                f"{variable_of('bootstrap_servers')}: is empty, which means the demo cluster, and that speaks no "
                f"{protocol}; name your brokers, or leave security.protocol out of {config}"
            )
        if self.demo and str(self.kafka_config.get("group.protocol", "classic")).lower() != "classic":
            raise ValueError(f"{config}: the demo cluster knows group.protocol classic only; leave it out")
        for prefix in protocols_of(self.bootstrap_servers) - {protocol}:
            raise ValueError(
                f"{variable_of('bootstrap_servers')}: {prefix}:// stands before an address, and security.protocol in "
                f"{config} is {protocol}; write host:port and say there what is spoken"
            )
        return self

    @field_validator("handler", "kafka_token_callback")
    @classmethod
    def _module_and_function(cls, value: str) -> str:
        if value and not re.fullmatch(r"[\w.]+:\w+", value):
            raise ValueError("must look like package.module:function")
        return value

    @field_validator("schema_registry_url")
    @classmethod
    def _registry_urls(cls, value: str) -> str:
        if value and not all(is_http_url(url.strip()) for url in value.split(",")):
            raise ValueError(
                "must look like http://host:port or https://host:port/path (several with commas between; a password in "
                "it percent-encoded)"
            )
        return value

    @field_validator("schema_registry_config")
    @classmethod
    def _urls_of_the_registry(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "url" in value:
            raise ValueError(f"must not set url; {variable_of('schema_registry_url')} is for that")
        # The client would say so too, and show the password in it.
        if "proxy" in value and not is_http_url(str(value["proxy"])):
            raise ValueError("proxy must look like http://host:port or https://host:port")
        return value

    @field_validator("kafka_config", "schema_registry_config", mode="before")
    @classmethod
    def _json_object(cls, value: object) -> object:
        return json_object(value) if isinstance(value, str) else value

    @field_validator("kafka_config")
    @classmethod
    def _values_of_properties(cls, value: dict[str, Any]) -> dict[str, Any]:
        check_properties(value)
        return value

    @field_validator("data_dir", "rules_file", "schemas_dir", "dead_letters_file", "mapping_file")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        try:
            return value.expanduser().absolute()
        except RuntimeError as error:  # of a user that is not there
            raise ValueError(f"{value}: {error}") from error

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """As `config` shows them, without those that are secret."""
        shown = (name for name, field in type(self).model_fields.items() if field.repr)
        return ((name, masked_setting(name, getattr(self, name))) for name in shown)

    @property
    def demo(self) -> bool:
        """Whether orders flow through the demo cluster."""
        return not self.bootstrap_servers

    @property
    def orders_topics(self) -> NamesAndPatterns:
        """The topics of the orders. `orders_topic` is how they were written."""
        return NamesAndPatterns.of(split_list(self.orders_topic))

    @property
    def own_orders_topic(self) -> str | None:
        """The topic that sample orders are written to; None where there are patterns only."""
        return next(iter(self.orders_topics.names), None)

    @property
    def own_dlq_topic(self) -> str:
        """The topic our own dead letters are written to; it is always collected too."""
        return next((topic for topic in self.dlq_topics if not topic.startswith("^")), f"{self.own_orders_topic}-dlq")

    @property
    def collected_topics(self) -> NamesAndPatterns:
        """The dead-letter topics that are collected, our own among them."""
        return NamesAndPatterns.of((*self.dlq_topics, self.own_dlq_topic))

    @property
    def sends_orders(self) -> bool:
        """Whether our orders topic is ours to make: without a processor it is somebody else's, or nobody's."""
        return "processor" in self.roles

    @property
    def schemas_from(self) -> str:
        """Where the schemas of other people's records are found, fit to be shown."""
        return masked(self.schema_registry_url or self.schemas_dir)

    @property
    def database_file(self) -> Path:
        """The buffer file."""
        return self.data_dir / "orderpulse.db"


_MAY_BE_EMPTY = frozenset(
    {"dlq_topics", "alert_groups"}
    | {
        name
        for name, field in Settings.model_fields.items()
        if field.get_default(call_default_factory=True) in ("", (), {})
    }
)


def variable_of(name: str) -> str:
    """The environment variable of the setting `name`."""
    return ENV_PREFIX + name.upper()


def load_settings(**overrides: Any) -> Settings:
    """Reads the settings. Raises SettingsError with one line that names each wrong setting."""
    try:
        written = written_values({name: variable_of(name) for name in Settings.model_fields})
        return Settings(**{**written, **overrides})
    except ValidationError as error:
        problems = map(_in_words, error.errors(include_url=False, include_input=False))
        raise SettingsError("; ".join(problems)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the file .env cannot be read: {error}") from error


def _in_words(problem: Any) -> str:
    """What is wrong with which variable; a rule about several settings names them itself."""
    said = _SAID_BETTER.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    return f"{variable_of(str(problem['loc'][0]))}: {said}" if problem["loc"] else str(said)


_SAID_BETTER = {
    "bool_parsing": "must be 1 or 0 (true or false, yes or no, on or off are taken too)",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
}


def unknown_variables() -> list[str]:
    """What to say of variables that look like ours and set nothing: mistyped, or of another version."""
    names = {*os.environ, *env_file_variables()}
    known = _known_variables()
    unknown = sorted(name for name in names if name.startswith(ENV_PREFIX) and name not in known)
    return [f"{name} is no setting{near_match_hint(name, known)}" for name in unknown]


def _known_variables() -> set[str]:
    names = {variable_of(name) for name in Settings.model_fields}
    return names | {f"{name}_FILE" for name in names}


def prepare_data_dir(settings: Settings) -> None:
    """Makes the data folder. Raises SettingsError when it cannot be made or written."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        # Without a name of our making: in containers that share the folder, every process has the id 1.
        tempfile.TemporaryFile(dir=settings.data_dir).close()
    except OSError as error:
        problem = "it is a file" if settings.data_dir.is_file() else error.strerror or str(error)
        raise SettingsError(_no_data_dir(settings, problem)) from error


def check_data_dir(settings: Settings) -> None:
    """Raises SettingsError where the data folder cannot be one; makes none."""
    nearest = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    if not nearest.is_dir():
        problem = f"{nearest} is a file"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        problem = f"{nearest} may not be written"
    else:
        return
    raise SettingsError(_no_data_dir(settings, problem))


def _no_data_dir(settings: Settings, problem: str) -> str:
    return (
        f"the data folder {settings.data_dir} cannot be written ({problem}); "
        f"set {variable_of('data_dir')} to a folder that can"
    )


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One setting as `config` and the docs show it; `value` has its secrets masked."""

    variable: str
    value: str
    default: str
    source: str
    help: str


def describe(settings: Settings) -> list[SettingLine]:
    """All settings with their masked value and where each came from: environment, file, .env or default."""
    environment = set(map(str.upper, os.environ))
    dotenv = env_file_variables()
    lines = []
    for name, field in Settings.model_fields.items():
        variable = variable_of(name)
        if variable in environment:
            source = "environment"
        elif f"{variable}_FILE" in environment:
            source = "file"
        elif variable in dotenv:
            source = ".env"
        elif f"{variable}_FILE" in dotenv:
            source = "file"
        else:
            source = "default"
        value = masked_setting(name, getattr(settings, name))
        default = masked(field.get_default(call_default_factory=True))
        lines.append(SettingLine(variable, value, default, source, field.description or ""))
    return lines


def masked_setting(name: str, value: Any) -> str:
    """A setting's value as text; one whose name says that it is a secret is replaced as a whole."""
    return MASK if value and is_secret(name) else masked(value)


def is_secret(name: str) -> bool:
    """Whether a setting or a client's property is a secret, by its name."""
    return bool(_SECRET_PROPERTY.search(name))


def masked(value: Any) -> str:
    """A setting's value as text, with passwords, keys and URL credentials replaced."""
    if isinstance(value, dict):
        return json.dumps({key: _masked_property(key, item) for key, item in value.items()})
    if isinstance(value, tuple):
        # Addresses of alerts are secret but for their scheme: tokens and passwords stand anywhere in them.
        items = [_ALL_OF_URL.sub(MASK, str(item)) for item in value]
        return json.dumps(items) if any("," in item for item in items) else ",".join(items)
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Path) and value.is_relative_to(PROJECT_DIR):
        return str(value.relative_to(PROJECT_DIR))
    return _SECRET_IN_URL.sub(MASK, str(value))


def without_secrets(settings: Settings, text: str) -> str:
    """A text of somebody else's with the secrets of the Kafka properties replaced, should it quote one."""
    secrets = {str(value) for name, value in settings.kafka_config.items() if is_secret(name) and value}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _masked_property(name: str, value: Any) -> Any:
    if is_secret(name):
        return MASK
    return _SECRET_IN_URL.sub(MASK, value) if isinstance(value, str) else value
