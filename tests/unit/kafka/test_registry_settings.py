"""The registry's settings: refused in one line where they cannot work, and shown nowhere with their secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import commands
from pipeline.errors import SettingsError
from pipeline.kafka.schema_registry import RegistryClient
from pipeline.settings import MASK, describe, load_settings, masked

SECRET = "pa55/w@rd:x"


def shown(**settings: object) -> str:
    return "\n".join(line.value for line in describe(load_settings(**settings)))


def refusal(**settings: object) -> str:
    with pytest.raises(SettingsError) as caught:
        RegistryClient(load_settings(**settings), lambda: 0)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "config",
    [
        {"basic.auth.user.info": f"me:{SECRET}"},
        {"ssl.key.password": SECRET},
        {"bearer.auth.token": SECRET},
        {"bearer.auth.client.secret": SECRET},
    ],
)
def test_secrets_of_the_registry_are_masked(config: dict[str, str]) -> None:
    text = shown(schema_registry_config=config)
    assert SECRET not in text
    assert MASK in text
    assert next(iter(config)) in text


@pytest.mark.parametrize("url", [f"http://me:{SECRET}@host:8081/path", f"https://a,http://me:{SECRET}@b"])
def test_credentials_in_the_url_are_masked(url: str) -> None:
    assert SECRET not in masked(url)
    assert "me" not in masked(url)
    assert "://" + MASK + "@" in masked(url)


def test_credentials_of_a_proxy_are_masked() -> None:
    assert json.loads(masked({"proxy": "http://me:pa55@proxy:3128"})) == {"proxy": f"http://{MASK}@proxy:3128"}


def test_what_is_no_secret_is_shown() -> None:
    config = {"ssl.ca.location": "/etc/ca.pem", "ssl.key.location": "/etc/key.pem", "timeout": 2}
    assert json.loads(masked(config)) == config
    assert masked("https://host:8081/apis/ccompat/v7") == "https://host:8081/apis/ccompat/v7"


def test_the_config_command_shows_the_registry_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "registry.json"
    file.write_text(json.dumps({"basic.auth.user.info": f"me:{SECRET}"}))
    monkeypatch.setenv("ORDERPULSE_SCHEMA_REGISTRY_CONFIG_FILE", str(file))
    monkeypatch.setenv("ORDERPULSE_SCHEMA_REGISTRY_URL", "https://host")
    settings = load_settings()
    assert settings.schema_registry_config == {"basic.auth.user.info": f"me:{SECRET}"}
    commands.config(settings, None)  # type: ignore[arg-type]
    out = capsys.readouterr().out
    assert SECRET not in out
    line = next(line for line in out.splitlines() if line.startswith("ORDERPULSE_SCHEMA_REGISTRY_CONFIG "))
    assert line.split(maxsplit=1)[1] == f'{{"basic.auth.user.info": "{MASK}"}}  [file]'


@pytest.mark.parametrize(
    "url",
    ["host:8081", "mock://x", "http://", "http://h:port", f"http://me:{SECRET}@", "http://a,,http://b", "http://["],
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    assert refusal(schema_registry_url=url).startswith(
        "ORDERPULSE_SCHEMA_REGISTRY_URL: must look like http://host:port"
    )


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{", "ORDERPULSE_SCHEMA_REGISTRY_CONFIG: must be a JSON object of client properties"),
        ("[]", "ORDERPULSE_SCHEMA_REGISTRY_CONFIG: "),
        ({"url": "http://b"}, "ORDERPULSE_SCHEMA_REGISTRY_CONFIG: must not set url"),
        ({"basic.auth.user": "x"}, "ORDERPULSE_SCHEMA_REGISTRY_CONFIG: Unrecognized properties: basic.auth.user"),
        ({"basic.auth.user.info": SECRET.replace(":", "")}, "ORDERPULSE_SCHEMA_REGISTRY_CONFIG: basic.auth.user.info"),
        ({"basic.auth.user.info": 5}, "ORDERPULSE_SCHEMA_REGISTRY_CONFIG: "),
        ({"timeout": "soon"}, "ORDERPULSE_SCHEMA_REGISTRY_CONFIG: timeout must be a number of seconds"),
        ({"proxy": f"me:{SECRET}@proxy"}, "ORDERPULSE_SCHEMA_REGISTRY_CONFIG: proxy must look like http://"),
    ],
)
def test_properties_that_no_client_takes_are_refused(config: object, reason: str) -> None:
    assert refusal(schema_registry_url="http://a", schema_registry_config=config).startswith(reason)


def test_where_schemas_come_from_can_be_shown() -> None:
    assert load_settings(schema_registry_url="http://me:pa55@host").schemas_from == f"http://{MASK}@host"
    assert load_settings().schemas_from == "schemas"
