"""SASL/OAUTHBEARER: where a client's tokens come from, and what is wrong when none comes.

Two ways: librdkafka asks a token endpoint by itself (`sasl.oauthbearer.method` oidc), or a team's own function is
called, as confluent-kafka's `oauth_cb`, for what needs more than that (AWS MSK IAM and others).
"""

from __future__ import annotations

import http.client
import importlib
import logging
import math
import queue
import re
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import certifi

from pipeline.errors import KafkaUnavailableError, SettingsError
from pipeline.setting_values import is_http_url
from pipeline.settings import Settings, masked, variable_of

log = logging.getLogger(__name__)

ENDPOINT_S = 2.0
CALLBACK_S = 4.0
"""A role says something at least every 5 s, or counts as silent."""
FAR_AWAY_S = 10**11
"""The year 5138: an expiry beyond it is one in milliseconds."""
_ENDPOINT = "sasl.oauthbearer.token.endpoint.url"
_TOKEN = re.compile(r"[\x21-\x7e]+")
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the authorities they trust: Debian and Alpine, Red Hat, SUSE, BSD."""


def uses_tokens(properties: Mapping[str, Any]) -> bool:
    """Whether a client shows a token to the brokers."""
    protocol = str(properties.get("security.protocol", "")).upper()
    mechanism = str(properties.get("sasl.mechanisms", properties.get("sasl.mechanism", ""))).upper()
    return protocol.startswith("SASL_") and mechanism == "OAUTHBEARER"


def token_source(settings: Settings) -> str:
    """Where tokens come from, fit to be shown; empty without tokens. Raises SettingsError where nothing gives one."""
    properties, callback = settings.kafka_config, settings.kafka_token_callback
    config, variable = variable_of("kafka_config"), variable_of("kafka_token_callback")
    asks_endpoint = str(properties.get("sasl.oauthbearer.method", "")).lower() == "oidc"
    if callback and not uses_tokens(properties):
        raise SettingsError(
            f"{variable}: needs security.protocol SASL_SSL (or SASL_PLAINTEXT) and sasl.mechanisms OAUTHBEARER in "
            f"{config}"
        )
    if callback and asks_endpoint:
        raise SettingsError(
            f"{variable}: leave it out, or sasl.oauthbearer.method oidc in {config}: one gives the token"
        )
    if not uses_tokens(properties):
        return ""
    if callback:
        return f"the token callback {callback}"
    if asks_endpoint:
        if endpoint_of(properties) and not is_http_url(endpoint_of(properties)):
            raise SettingsError(
                f"{config}: sasl.oauthbearer.token.endpoint.url must look like https://host/path or http://host:port/path"
            )
        return f"the token endpoint {masked(endpoint_of(properties))}".rstrip()
    if str(properties.get("enable.sasl.oauthbearer.unsecure.jwt", "")).lower() == "true":
        return "the client library, which signs none"
    raise SettingsError(
        f"{config}: nothing gives a token for OAUTHBEARER; set sasl.oauthbearer.method to oidc with its "
        f"sasl.oauthbearer.token.endpoint.url, client.id and client.secret, or {variable}"
    )


def endpoint_of(properties: Mapping[str, Any]) -> str:
    """The token endpoint's address."""
    return str(properties.get(_ENDPOINT, ""))


def asking_nobody(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of a client that is made only to see whether it can be, and asks for no token."""
    found = {name: value for name, value in properties.items() if name != "oauth_cb"}
    if endpoint_of(found):
        found[_ENDPOINT] = "http://127.0.0.1:0/"  # librdkafka asks as soon as a client is made
    return found


# -- authorities


def trusted_authorities() -> str:
    """The file of the authorities that this machine trusts, or those that certifi brings where it has none."""
    # OpenSSL knows the variable SSL_CERT_FILE.
    candidates = (ssl.get_default_verify_paths().cafile, *_BUNDLES)
    return next((path for path in candidates if path and Path(path).is_file()), certifi.where())


def with_authorities(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The properties and, where they name none, authorities for brokers and for the token endpoint.

    librdkafka's wheel looks for those of the endpoint where Red Hat has them, and nowhere else. For the endpoint those
    of the brokers are trusted too: a company's own often signs for both.
    """
    found = dict(properties)
    by_tls = str(properties.get("security.protocol", "")).upper() in ("SSL", "SASL_SSL")
    if by_tls and not {"ssl.ca.location", "ssl.ca.pem", "ssl.ca.certificate.stores"} & properties.keys():
        found["ssl.ca.location"] = trusted_authorities()
    by_https = uses_tokens(properties) and endpoint_of(properties).lower().startswith("https:")
    if by_https and not {"https.ca.location", "https.ca.pem"} & properties.keys():
        found["https.ca.pem"] = _endpoint_authorities(properties)
    return found


def _endpoint_authorities(properties: Mapping[str, Any]) -> str:
    texts = [Path(trusted_authorities()).read_text(encoding="utf-8", errors="replace")]
    texts.append(str(properties.get("ssl.ca.pem", "")))
    own = Path(str(properties.get("ssl.ca.location", "")))
    if own.is_file():
        texts.append(own.read_text(encoding="utf-8", errors="replace"))
    return "\n".join(texts)


# -- the endpoint


def endpoint_trouble(settings: Settings) -> str:
    """What is wrong with the token endpoint, asked without our secret; empty if it answers, or there is none.

    librdkafka asks again and again when it is silent or answers 500 and more, and says nothing meanwhile.
    """
    properties = settings.kafka_config
    url = endpoint_of(properties)
    if not url or not uses_tokens(properties):
        return ""
    try:
        context = _context(with_authorities(properties)) if url.lower().startswith("https:") else None
        with urllib.request.urlopen(url, data=b"", timeout=ENDPOINT_S, context=context):
            return ""
    except urllib.error.HTTPError as answer:
        text = _one_line(answer.read(300).decode("utf-8", "replace"))
        return f"{token_source(settings)} answers {answer.code} ({text or answer.reason})" if answer.code >= 500 else ""
    except (http.client.HTTPException, OSError, ValueError) as error:
        why = _one_line(error.reason if isinstance(error, urllib.error.URLError) else error)
        return f"{token_source(settings)} does not answer ({why or type(error).__name__})"


def _context(properties: Mapping[str, Any]) -> ssl.SSLContext:
    location, pem = properties.get("https.ca.location"), properties.get("https.ca.pem")
    folder = location if location and Path(location).is_dir() else None
    return ssl.create_default_context(cafile=None if folder else location, capath=folder, cadata=pem)


# -- a team's own function


class TokenCallback:
    """A team's function as librdkafka's `oauth_cb`; what it raises or returns wrongly is said with its name.

    `failed` is told when a later token does not come: a client works on with the one it has, as long as that is valid.
    """

    def __init__(self, name: str, failed: Callable[[str], None]) -> None:
        """Raises SettingsError when there is no such function."""
        self._name = name
        self._function = load_callback(name)
        self._failed = failed
        self._first: tuple[Any, ...] | None = None

    def prepare(self, config: str | None) -> None:
        """Gets the first token. Raises KafkaUnavailableError: the library would wait for 10 s, and not say why."""
        try:
            self._first = self._token(config)
        except _NoTokenError as error:
            raise KafkaUnavailableError(str(error)) from error

    def __call__(self, config: str | None) -> tuple[Any, ...]:
        """A token, when it expires and, if the function says so, for whom and with which extensions."""
        first, self._first = self._first, None
        if first is not None:
            return first
        try:
            return self._token(config)
        except _NoTokenError as error:
            self._failed(str(error))
            raise

    def _token(self, config: str | None) -> tuple[Any, ...]:
        answer: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

        def call() -> None:
            try:
                answer.put((self._function(config), None))
            except BaseException as error:  # noqa: BLE001 - somebody else's code, in a thread of its own
                answer.put((None, error))

        threading.Thread(target=call, name="token-callback", daemon=True).start()
        try:
            token, error = answer.get(timeout=CALLBACK_S)
        except queue.Empty:
            raise self._no_token(f"it has not returned after {CALLBACK_S:.0f} s") from None
        if error is not None:
            raise self._no_token(f"{type(error).__name__}: {_one_line(error)}") from error
        problem = _problem(token)
        if problem:
            raise self._no_token(problem)
        return tuple(token)

    def _no_token(self, why: str) -> _NoTokenError:
        return _NoTokenError(
            f"no token from the token callback {self._name} ({variable_of('kafka_token_callback')}): {why}"
        )


class _NoTokenError(Exception):
    """The function gave no token that can be used."""


def load_callback(name: str) -> Callable[[str | None], Any]:
    """The function that `package.module:function` names. Raises SettingsError."""
    module_name, _, function_name = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), function_name)
    except Exception as error:
        raise SettingsError(
            f"{variable_of('kafka_token_callback')}: {name} cannot be had: {type(error).__name__}: {_one_line(error)}"
        ) from error
    if not callable(found):
        raise SettingsError(f"{variable_of('kafka_token_callback')}: {name} is no function")
    return found  # type: ignore[no-any-return]


def _problem(token: Any) -> str:
    """What is wrong with what the function returned."""
    shape = "it must return (token, expiry in seconds since 1970), and may add a principal and a dict of extensions"
    if not isinstance(token, (tuple, list)) or not 2 <= len(token) <= 4:
        return f"{shape}, not {type(token).__name__}"
    text, expiry_s, *more = token
    if not isinstance(text, str) or not _TOKEN.fullmatch(text):
        return "the token must be a text of printable ASCII without spaces"
    if isinstance(expiry_s, bool) or not isinstance(expiry_s, (int, float)) or not math.isfinite(expiry_s):
        return f"{shape}; the expiry is of type {type(expiry_s).__name__}"
    if expiry_s > FAR_AWAY_S:
        return "the expiry must be in seconds since 1970; this looks like milliseconds"
    kinds = (str, dict)
    if any(not isinstance(item, kind) for item, kind in zip(more, kinds, strict=False)):
        return shape
    return ""


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:300]
