"""Every setting, declared once: name, type, default, help. The docs' table is made from here.

The environment variable `ORDERPULSE_<NAME>` (or a line in `.env`) sets it; `ORDERPULSE_<NAME>_FILE` names a file that
holds the value, for secrets.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from pipeline.errors import SettingsError

ENV_PREFIX = "ORDERPULSE_"
PROJECT_DIR = Path(__file__).resolve().parent.parent
MASK = "********"
_SECRET_PROPERTY = re.compile(r"pas|secret|\.pem$|ssl_key|oauthbearer\.config|jaas|token$|user\.info", re.IGNORECASE)
# Up to the last @: a password may have one, or a slash, that ought to have been escaped.
_SECRET_IN_URL = re.compile(r"(?<=://)\S*(?=@)")
_ALL_OF_URL = re.compile(r"(?<=://).+")


class Settings(BaseSettings):
    """All settings of all roles. Immutable; read once at the entry point and passed on."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_file=".env",
        env_ignore_empty=False,
        frozen=True,
        # `.env` is shared with docker compose, which keeps names of its own there.
        extra="ignore",
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

    # What is read and written
    roles: tuple[str, ...] = Field(
        ("processor", "collector", "worker"),
        description="Roles that `up` starts, comma separated. Leave out `processor` to use the workbench alone.",
    )
    processors: int = Field(1, ge=1, le=64, description="Processors that `up` starts; they share the partitions.")
    orders_topic: str = Field("orders", min_length=1, description="Topic of the orders.")
    dlq_topics: tuple[str, ...] = Field(
        ("orders-dlq",),
        description="Dead-letter topics to collect, comma separated; one that begins with `^` is a pattern. "
        "The first plain name is where our own dead letters go.",
    )
    topic_partitions: int = Field(0, ge=0, description="Partitions of a topic that we make; 0: the broker's default.")
    topic_replication: int = Field(0, ge=0, description="Replicas of a topic that we make; 0: the broker's default.")
    orders_retention_h: int = Field(
        0, ge=-1, description="Hours that an orders topic we make keeps records; 0: the broker's default, -1: for ever."
    )
    dlq_retention_h: int = Field(0, ge=-1, description="The same for a dead-letter topic that we make.")
    group_id: str = Field("orderpulse", min_length=1, description="Consumer group of the processors.")

    # How records are judged
    rules_file: Path = Field(PROJECT_DIR / "rules.toml", description="Validation rules; read again when it changes.")
    handler: str = Field("", description="What is done with a valid order, `module:function`. Empty: it is accepted.")
    retry_preset: Literal["exponential", "fixed", "none"] = Field(
        "exponential",
        description="`exponential`: full jitter; `fixed`: 3 retries, 2 s apart; `none`: dead letter at once.",
    )
    retry_max: int = Field(5, ge=0, le=1000, description="Retries after the first attempt (exponential).")
    retry_base_ms: int = Field(500, ge=1, description="Backoff before the first retry, at most (exponential).")
    retry_cap_ms: int = Field(60_000, ge=1, description="Longest backoff before any retry (exponential).")
    max_parked: int = Field(50_000, ge=1, description="Parked records a processor holds before it stops reading.")
    replay_limit: int = Field(3, ge=1, description="Replays of the same record before a replay must be forced.")

    # The app
    autostart: bool = Field(True, description="Let the app start the pipeline when none runs on its data folder.")
    read_only: bool = Field(False, description="Show everything, allow no produce, replay, triage or cancel.")
    refresh_ms: int = Field(1000, ge=0, description="Time between two refreshes of the pages; 0 stops them.")
    export_max_rows: int = Field(1_000_000, ge=1, description="Rows a page's export holds at most; the CLI has no cap.")
    export_max_mb: int = Field(
        1000, ge=1, le=10**6, description="Megabytes a page's export holds, and a quarter of its free disk, at most."
    )

    # Watching
    alert_dead_letter_rate: float = Field(
        0.05, gt=0, le=1, description="Share of dead letters in the alert window that raises an alert."
    )
    alert_min_records: int = Field(20, ge=1, description="Records the window must hold before the share counts.")
    alert_window_s: int = Field(300, ge=1, description="Length of the alert window in seconds.")
    alert_disk_share: float = Field(
        0.95, gt=0, le=1, description="Share of the buffer's disk in use that raises an alert."
    )
    alert_trouble_s: int = Field(
        30, ge=1, description="Seconds that a role may wait, fail or be held up before that raises an alert."
    )
    alert_urls: tuple[str, ...] = Field((), repr=False, description="Where alerts go, Apprise URLs, comma separated.")
    metrics_port: int = Field(0, ge=0, le=65535, description="Port of the worker's Prometheus metrics; 0: off.")
    metrics_address: str = Field("127.0.0.1", description="Address that the metrics are served on.")
    orders_kept_days: float = Field(
        0, ge=0, le=36_500, description="Days that an order stays in the buffer; it stays in the figures. 0: no limit."
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
    seconds_kept_s: int = Field(3600, ge=60, description="How long per-second figures are kept.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")

    @field_validator("roles", "dlq_topics", "alert_urls", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("roles")
    @classmethod
    def _known_roles(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = set(value) - {"processor", "collector", "worker"}
        if unknown:
            raise ValueError(f"unknown role {', '.join(sorted(unknown))}; there are processor, collector, worker")
        return value

    @field_validator("dlq_topics")
    @classmethod
    def _patterns_compile(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for topic in value:
            if topic.startswith("^"):
                try:
                    re.compile(topic)
                except re.error as error:
                    raise ValueError(f"{topic!r} is no regular expression: {error}") from error
        return value

    @field_validator("handler")
    @classmethod
    def _module_and_function(cls, value: str) -> str:
        if value and not re.fullmatch(r"[\w.]+:\w+", value):
            raise ValueError("must look like package.module:function")
        return value

    @field_validator("schema_registry_url")
    @classmethod
    def _registry_urls(cls, value: str) -> str:
        if value and not all(_is_http_url(url.strip()) for url in value.split(",")):
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
        if "proxy" in value and not _is_http_url(str(value["proxy"])):
            raise ValueError("proxy must look like http://host:port or https://host:port")
        return value

    @field_validator("kafka_config", "schema_registry_config", mode="before")
    @classmethod
    def _json_object(cls, value: object) -> object:
        if isinstance(value, str):
            try:
                value = json.loads(value or "{}")
            except json.JSONDecodeError as error:
                raise ValueError(f"must be a JSON object of client properties: {error}") from error
        return value

    @field_validator("data_dir", "rules_file", "schemas_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def demo(self) -> bool:
        """Whether orders flow through the demo cluster."""
        return not self.bootstrap_servers

    @property
    def own_dlq_topic(self) -> str:
        """The topic our own dead letters are written to; it is always collected too."""
        return next((topic for topic in self.dlq_topics if not topic.startswith("^")), f"{self.orders_topic}-dlq")

    @property
    def sends_orders(self) -> bool:
        """Whether the orders topic is ours to make: without a processor it is somebody else's, or nobody's."""
        return "processor" in self.roles

    @property
    def schemas_from(self) -> str:
        """Where the schemas of other people's records are found, fit to be shown."""
        return masked(self.schema_registry_url or self.schemas_dir)

    @property
    def database_file(self) -> Path:
        """The buffer file."""
        return self.data_dir / "orderpulse.db"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before files named in it before `.env`; lists are split at commas, not read as JSON."""
        return (init_settings, _PlainEnvironment(settings_cls), _SecretFiles(settings_cls), _PlainDotEnv(settings_cls))


class _PlainEnvironment(EnvSettingsSource):
    """The environment, with lists left to the validators (pydantic would ask for JSON)."""

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        return value


class _PlainDotEnv(DotEnvSettingsSource):
    """The `.env` file, with lists left to the validators."""

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        return value


class _SecretFiles(PydanticBaseSettingsSource):
    """Values that stand in files: `ORDERPULSE_KAFKA_CONFIG_FILE=/run/secrets/kafka.json`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(f"{variable_of(field_name)}_FILE")
        if path is None:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{variable_of(field_name)}_FILE: {path} cannot be read: {error}") from error

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


def variable_of(name: str) -> str:
    """The environment variable of the setting `name`."""
    return ENV_PREFIX + name.upper()


def load_settings(**overrides: Any) -> Settings:
    """Reads the settings. Raises SettingsError with one line that names each wrong setting."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = (
            f"{variable_of(str(problem['loc'][0]))}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False)
        )
        raise SettingsError("; ".join(problems)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the file .env cannot be read: {error}") from error


def unknown_variables() -> list[str]:
    """Environment variables that look like ours and set nothing: mistyped, or of another version."""
    return sorted({name for name in os.environ if name.startswith(ENV_PREFIX)} - _known_variables())


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
        raise SettingsError(
            f"the data folder {settings.data_dir} cannot be written ({error.strerror}); "
            f"set {variable_of('data_dir')} to a folder that can"
        ) from error


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
    dotenv = _PlainDotEnv(Settings)()
    lines = []
    for name, field in Settings.model_fields.items():
        variable = variable_of(name)
        if variable in os.environ:
            source = "environment"
        elif f"{variable}_FILE" in os.environ:
            source = "file"
        elif name in dotenv:
            source = ".env"
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
        # Addresses of alerts are secret as a whole: most carry their token in the path.
        return ",".join(_ALL_OF_URL.sub(MASK, str(item)) for item in value)
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


def _is_http_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port that is none, or of half an IPv6 address
        return False
