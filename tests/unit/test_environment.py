"""What .env, docker compose, `docker run --env-file`, a shell and files with secrets deliver, read as the app does."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import SettingsError
from pipeline.settings import ENV_PREFIX, PROJECT_DIR, describe, load_settings, unknown_variables

PASSWORD = """p$a${HOME}$$s #w 'o"r\\d%40!`"""
CONFIG = json.dumps({"sasl.password": PASSWORD.replace("'", "")})


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without settings of ours, and a folder in which `.env` is ours to write."""
    for name in list(os.environ):
        if name.startswith(ENV_PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def refusal() -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings()
    [line] = str(refused.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("ORDERPULSE_GROUP_ID=plain", "plain"),
        ("ORDERPULSE_GROUP_ID='in $single ${HOME} quotes'", "in $single ${HOME} quotes"),
        ('ORDERPULSE_GROUP_ID="in $double ${HOME} quotes"', "in $double ${HOME} quotes"),
        ("ORDERPULSE_GROUP_ID=no$quotes$$at${HOME}all", "no$quotes$$at${HOME}all"),
        ("export ORDERPULSE_GROUP_ID = spaced   # a comment", "spaced"),
        ("ORDERPULSE_GROUP_ID='a # b' # it's a comment", "a # b"),
        ("ORDERPULSE_GROUP_ID=a#b", "a#b"),
        (r"ORDERPULSE_GROUP_ID='back\\slash\n'", r"back\\slash\n"),
        (r"ORDERPULSE_GROUP_ID='it\'s'", "it's"),
        ('ORDERPULSE_GROUP_ID="say \\"a\\""', 'say "a"'),
        ("\ufeffORDERPULSE_GROUP_ID=after a mark\r", "after a mark"),
        ("ORDERPULSE_GROUP_ID=a\nORDERPULSE_GROUP_ID=b", "b"),
        ("orderpulse_group_id=lower", "lower"),
    ],
)
def test_a_line_of_the_env_file_means_what_stands_there(line, value):
    Path(".env").write_text(f"{line}\n\n# of docker compose\nAPP_PORT=8501\n", encoding="utf-8")
    assert load_settings().group_id == value


def test_a_password_of_any_signs_comes_through_json_in_single_quotes():
    Path(".env").write_text(f"ORDERPULSE_KAFKA_CONFIG='{CONFIG}'\n")
    assert load_settings().kafka_config == json.loads(CONFIG)


def test_json_that_is_cut_off_by_a_comment_says_how_to_quote_it():
    Path(".env").write_text(f"ORDERPULSE_KAFKA_CONFIG={CONFIG}\n")
    assert "in single quotes" in refusal()
    assert "#w" not in refusal()


def test_a_shell_that_reads_the_same_line_passes_the_same_value():
    line = f"ORDERPULSE_KAFKA_CONFIG='{CONFIG}'"
    Path(".env").write_text(line + "\n")
    from_file = load_settings().kafka_config
    show = "from pipeline.settings import load_settings as l; print(l().kafka_config['sasl.password'], end='')"
    script = f"export {line}; exec {shlex.join([sys.executable, '-c', show])}"
    shell = subprocess.run(["sh", "-c", script], cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    assert shell.stdout == from_file["sasl.password"] == json.loads(CONFIG)["sasl.password"]


@pytest.mark.parametrize("delivered", ["'{}'", '"{}"', "  {}  ", "{}\r", "' {} '", "{}"])
def test_quotes_and_space_that_docker_delivers_with_a_value_are_none_of_it(delivered, monkeypatch):
    monkeypatch.setenv("ORDERPULSE_KAFKA_CONFIG", delivered.replace("{}", CONFIG))
    monkeypatch.setenv("ORDERPULSE_DLQ_TOPICS", delivered.replace("{}", "a,b"))
    monkeypatch.setenv("ORDERPULSE_PROCESSORS", delivered.replace("{}", "3"))
    settings = load_settings()
    assert (settings.kafka_config, settings.dlq_topics, settings.processors) == (json.loads(CONFIG), ("a", "b"), 3)


@pytest.mark.parametrize("content", ["{}", "{}\n", "'{}'\n", "\ufeff{}\r\n"])
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_file_holds_the_value_and_may_be_named_in_either(content, where, monkeypatch):
    Path("secret.json").write_text(content.replace("{}", CONFIG), encoding="utf-8")
    if where == "environment":
        monkeypatch.setenv("ORDERPULSE_KAFKA_CONFIG_FILE", "secret.json")
    else:
        Path(".env").write_text("ORDERPULSE_KAFKA_CONFIG_FILE='secret.json'\n")
    assert load_settings().kafka_config == json.loads(CONFIG)
    [line] = [line for line in describe(load_settings()) if line.variable == "ORDERPULSE_KAFKA_CONFIG"]
    assert line.source == "file"


@pytest.mark.parametrize("value", ["'half", 'half"x"'[::-1], "'", "\"a'", '\'{"a": 1}'])
def test_a_quote_that_does_not_end_is_refused(value, monkeypatch):
    monkeypatch.setenv("ORDERPULSE_GROUP_ID", value)
    assert refusal().startswith("ORDERPULSE_GROUP_ID: begins with the quote ")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ORDERPULSE_GROUP_ID='half\n", 3),
        ("ORDERPULSE_GROUP_ID='a' b\n", 3),
        ("ORDERPULSE_GROUP_ID\n", 3),
        ("ORDERPULSE_GROUP_ID: a\n", 3),
        ('\n\nORDERPULSE_GROUP_ID="a"b"\n', 5),
    ],
)
def test_a_line_of_the_env_file_that_sets_nothing_is_refused_with_its_name_and_number(text, line):
    Path(".env").write_text(f"APP_PORT=8501\n\n{text}")
    assert refusal().startswith(f"ORDERPULSE_GROUP_ID: cannot be read in .env, line {line}: ")


def test_a_name_like_a_setting_is_pointed_out_in_both(monkeypatch):
    monkeypatch.setenv("ORDERPULSE_DLQ_TOPIC", "a")
    Path(".env").write_text("ORDERPULSE_KAFKA_CONFG={}\nAPP_PORT=1\n")
    assert unknown_variables() == [
        "ORDERPULSE_DLQ_TOPIC is no setting; did you mean ORDERPULSE_DLQ_TOPICS",
        "ORDERPULSE_KAFKA_CONFG is no setting; did you mean ORDERPULSE_KAFKA_CONFIG",
    ]
