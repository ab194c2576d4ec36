"""What docker-compose.yml, .env.example and .dockerignore say, without running it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml

from pipeline.settings import PROJECT_DIR, Settings, load_settings, variable_of
from tests.support.containers import COMPOSE_FILE, OURS, SERVICES_USER, compose, copied_paths

SERVICES = compose()["services"]
SETTINGS = {variable_of(name) for name in Settings.model_fields}
ENV_EXAMPLE = PROJECT_DIR / ".env.example"
PINNED = re.compile(r"[a-z0-9/-]+:\d+\.\d+\.\d+")


def env_example() -> dict[str, str]:
    lines = [line for line in ENV_EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def judged_by_the_specification(path) -> subprocess.CompletedProcess[str]:
    judge = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path))
    return subprocess.run(judge, capture_output=True, text=True, check=False)


def test_the_file_is_what_the_compose_specification_allows(tmp_path):
    answer = judged_by_the_specification(COMPOSE_FILE)
    assert answer.returncode == 0, answer.stdout
    for right, wrong in (("healthcheck:", "health_check:"), ("service_healthy", "healthy"), ("tmpfs:", "tempfs:")):
        spoilt = tmp_path / "docker-compose.yml"
        spoilt.write_text(COMPOSE_FILE.read_text().replace(right, wrong))
        assert judged_by_the_specification(spoilt).returncode == 1, wrong


def test_it_has_kafka_a_registry_every_role_and_the_app():
    assert set(SERVICES) == {"kafka", "registry", *load_settings().roles, "app"} == {"kafka", "registry", *OURS}
    assert set(compose()["volumes"]) == {"config", "data", "kafka"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_no_more_rights_than_it_needs(service):
    said = SERVICES[service]
    assert said["read_only"] is True
    assert said["cap_drop"] == ["ALL"]
    assert said["security_opt"] == ["no-new-privileges:true"]
    assert said["user"].split(":")[0] not in ("", "0", "root")
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "userns_mode", "devices"} & set(said)


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_pinned(service):
    assert PINNED.fullmatch(SERVICES[service]["image"])


@pytest.mark.parametrize("service", OURS)
def test_our_services_are_one_image_built_here_by_the_user_it_has(service):
    said = SERVICES[service]
    assert (said["build"], said["user"], said["tmpfs"]) == (".", SERVICES_USER, ["/tmp"])
    assert said["image"] == f"orderpulse:{project_version()}"


def project_version() -> str:
    [version] = re.findall(r'^version = "(.+)"$', (PROJECT_DIR / "pyproject.toml").read_text(), re.MULTILINE)
    return version


def test_kafka_and_the_registry_are_the_versions_that_the_tests_run():
    pom, fetch = (PROJECT_DIR / "scripts" / "local" / name for name in ("pom.xml", "fetch.py"))
    kafka = SERVICES["kafka"]["image"].partition(":")[2]
    assert set(re.findall(r"<artifactId>kafka[^<]*</artifactId>\s*<version>(.+)</version>", pom.read_text())) == {kafka}
    assert SERVICES["registry"]["image"].partition(":")[2] in fetch.read_text()


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_is_published_beyond_this_machine(service):
    assert SERVICES[service].get("ports", []) == (["127.0.0.1:8501:8501"] if service == "app" else [])


def test_the_port_on_this_machine_can_be_another():
    assert compose({"APP_PORT": "9000"})["services"]["app"]["ports"] == ["127.0.0.1:9000:8501"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_when_what_it_needs_is_healthy(service):
    needs = SERVICES[service].get("depends_on", {})
    assert set(needs) == {
        "kafka": set(),
        "registry": {"kafka"},
        "app": {"worker"},
    }.get(service, {"kafka", "registry"})
    assert {need["condition"] for need in needs.values()} <= {"service_healthy"}
    assert set(SERVICES[service]["healthcheck"]) == {"test", "interval", "timeout", "retries", "start_period"}


@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_a_setting_and_has_a_value_that_it_takes(service):
    said = SERVICES[service]["environment"]
    assert set(said) <= SETTINGS
    settings = load_settings(**{name.removeprefix("ORDERPULSE_").lower(): value for name, value in said.items()})
    assert settings.bootstrap_servers == "kafka:9092"
    assert settings.schema_registry_url == "http://registry:8080/apis/ccompat/v7"
    assert not settings.autostart
    assert str(settings.data_dir) == "/data"
    assert str(settings.mapping_file) == "/config/mapping.toml"


def test_the_data_and_the_mapping_file_are_on_named_volumes():
    for service in OURS:
        # Not for reading alone: the app saves sections there.
        assert {"data:/data", "config:/config"} <= set(SERVICES[service]["volumes"])
    assert SERVICES["kafka"]["volumes"] == [f"kafka:{SERVICES['kafka']['environment']['KAFKA_LOG_DIRS']}"]


def test_processors_can_be_scaled():
    assert not {"container_name", "hostname", "ports"} & set(SERVICES["processor"])
    assert "--instance" not in SERVICES["processor"]["command"]
    assert int(SERVICES["kafka"]["environment"]["KAFKA_NUM_PARTITIONS"]) >= 3


def test_it_works_without_an_env_file_and_takes_one():
    for service in OURS:
        assert SERVICES[service]["env_file"] == [{"path": ".env", "required": False}]
    # Every other form would fail, or warn, where the variable is not set.
    variables = re.findall(r"(?<!\$)\$\{([^}]*)\}", COMPOSE_FILE.read_text())
    assert variables
    assert all(re.fullmatch(r"\w+:-[^}]+", variable) for variable in variables)


def test_the_example_has_real_settings_with_their_defaults_and_no_secret(monkeypatch):
    example = env_example()
    of_compose = {"APP_PORT": "8501"}
    assert set(example) <= SETTINGS | set(of_compose)
    assert of_compose.items() <= example.items()
    assert compose(example) == compose()
    assert not {name for name in example if re.search("PASSWORD|SECRET|TOKEN|KAFKA_CONFIG", name)}
    defaults = load_settings()
    for name, value in example.items():
        if name in SETTINGS:
            monkeypatch.setenv(name, value)
    assert load_settings() == defaults
    # What the file sets by itself would be without effect in .env.
    assert not set(example) & set(SERVICES["app"]["environment"])


def test_the_image_is_built_of_what_it_copies_and_of_nothing_else():
    lines = [line for line in (PROJECT_DIR / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    let_in = {line[1:].split("/")[0] for line in lines if line.startswith("!")}
    assert let_in == {*copied_paths(), "requirements.txt", "requirements-pipeline.txt", "constraints.txt"}


def test_anchors_are_the_only_thing_that_is_no_service():
    top = yaml.safe_load(COMPOSE_FILE.read_text())
    assert {name for name in top if not name.startswith("x-")} == {"name", "services", "volumes"}
