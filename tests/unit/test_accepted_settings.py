"""What `config` and `check` accept, every role can begin with: each obstacle is one line, before anything runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.clock import wall_clock_ms
from pipeline.errors import OrderPulseError
from pipeline.roles import check_roles
from pipeline.running.statusboard import StatusWriter
from pipeline.settings import PROJECT_DIR, load_settings


def refusal(**settings: object) -> str:
    with pytest.raises(OrderPulseError) as refused:
        check_roles(load_settings(**settings))
    [line] = str(refused.value).splitlines()
    return line


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A team's own module, to be imported as `handlers_of_a_team`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "handlers_of_a_team", raising=False)
    return tmp_path / "handlers_of_a_team.py"


def test_the_settings_as_they_come_are_accepted(tmp_path):
    check_roles(load_settings(data_dir=tmp_path / "not" / "there"))
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (None, "cannot be imported"),
        ("import a_module_that_is_not_there", "a_module_that_is_not_there"),
        ("raise KeyError('DATABASE_URL')", "it raises KeyError: 'DATABASE_URL'"),
        ("def handle(:", "no module"),
        ("other = 1", "has no handle"),
        ("handle = 1", "no function"),
    ],
)
def test_a_handler_that_cannot_be_loaded_is_named(text, word, module):
    if text is not None:
        module.write_text(text)
    line = refusal(handler="handlers_of_a_team:handle")
    assert "ORDERPULSE_HANDLER" in line
    assert word in line
    check_roles(load_settings(handler="handlers_of_a_team:handle", roles="collector,worker"))


def test_rules_and_schemas_that_cannot_be_used_are_named(tmp_path):
    assert f"rules file {tmp_path}" in refusal(rules_file=tmp_path)
    rules = tmp_path / "rules.toml"
    rules.write_text("price_min = -")
    assert f"rules file {rules} is not valid TOML" in refusal(rules_file=rules)
    assert f"schemas folder {tmp_path} has no order.v1.avsc" in refusal(schemas_dir=tmp_path)
    (tmp_path / "order.v1.avsc").write_text("{")
    assert "order.v1.avsc cannot be" in refusal(schemas_dir=tmp_path)


def test_a_data_folder_that_cannot_be_one_is_named(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for folder in (file, file / "data"):
        assert f"{file} is a file" in refusal(data_dir=folder)
        assert "ORDERPULSE_DATA_DIR" in refusal(data_dir=folder)


def test_an_address_for_metrics_that_is_none_of_ours_or_in_use_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        here = {"data_dir": tmp_path, "metrics_port": port}
        assert f"127.0.0.1:{port} (Address already in use)" in refusal(**here)
        check_roles(load_settings(**here, roles="collector"))
        # While a worker runs, it is the worker who uses it.
        status = StatusWriter(tmp_path, "worker", 0, wall_clock_ms)
        status.report("running")
        check_roles(load_settings(**here))
        status.close()
    for address in ("192.0.2.1", "no.such.host.invalid"):
        assert "ORDERPULSE_METRICS_ADDRESS" in refusal(metrics_port=port, metrics_address=address)


@pytest.mark.parametrize(
    "settings",
    [
        {"schema_registry_url": "http://a", "schema_registry_config": {"basic.auth.user": "x"}},
        {"bootstrap_servers": "a:1", "kafka_config": {"max.poll.interval.ms": 5000}},
        {"alert_urls": "slak://a/b"},
    ],
)
def test_clients_that_could_not_be_made_are_named(settings):
    assert refusal(**settings).startswith("ORDERPULSE_")


@pytest.mark.parametrize("command", ["config", "check"])
def test_both_commands_end_with_that_line(command, tmp_path):
    environment = os.environ | {"ORDERPULSE_DATA_DIR": str(tmp_path), "ORDERPULSE_HANDLER": "no_such_module:handle"}
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline", command],
        cwd=PROJECT_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "no_such_module" in line
    assert ("ORDERPULSE_HANDLER " in ended.stdout) == (command == "config")
