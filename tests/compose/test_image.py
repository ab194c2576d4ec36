"""The Dockerfile: what it says, what a linter says of it, and whether what it copies is enough to run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from pipeline.settings import PROJECT_DIR
from tests.support.containers import (
    DOCKERFILE,
    SERVICES_USER,
    copied_paths,
    dockerfile,
    image_environment,
    installed,
    unpack_image,
)

BASE = re.compile(r"python:3\.11\.\d+-slim-\w+")


def of_last_stage(name: str) -> list[list[str]]:
    lines = dockerfile()
    return [line.words for line in lines if line.name == name and line.stage == lines[-1].stage]


def test_the_linter_finds_nothing():
    linter = Path(sys.executable).with_name("hadolint")
    answer = subprocess.run([linter, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout


def test_wheels_are_made_in_one_stage_and_only_the_environment_is_taken_from_it():
    bases = [line.words for line in dockerfile() if line.name == "FROM"]
    assert len(bases) == 2
    assert {words[0] for words in bases} == {bases[0][0]}
    assert BASE.fullmatch(bases[0][0])
    assert bases[0][1:] == ["AS", "build"]
    assert [words for words in of_last_stage("COPY") if words[0].startswith("--from")] == [
        ["--from=build", "/venv", "/venv"]
    ]
    assert not [words for words in of_last_stage("RUN") if "pip" in words or "apt-get" in words]


def test_it_runs_as_a_user_with_a_fixed_id_that_owns_nothing_but_the_data():
    assert of_last_stage("USER") == [[SERVICES_USER]]
    user = SERVICES_USER.split(":")[0]
    setup = of_last_stage("RUN")[0]
    assert setup[setup.index("useradd") + 1 :][:2] == ["--uid", user]
    made = [words for words in installed() if "--directory" in words]
    assert [word for words in made for word in words if word.startswith("/")] == ["/data", "/config"]
    assert all("--owner=orderpulse" in words for words in installed())
    assert of_last_stage("VOLUME") == [["/data", "/config"]]
    assert not [words for words in of_last_stage("COPY") if any(word.startswith("--chown") for word in words)]


def test_what_it_copies_is_there():
    paths = copied_paths()
    assert paths
    assert [path for path in paths if not (PROJECT_DIR / path).exists()] == []


def test_it_starts_the_app_and_leaves_health_checks_to_the_services():
    [command] = of_last_stage("CMD")
    assert [word.strip("[],") for word in command][:3] == ["streamlit", "run", "streamlit_app.py"]
    assert not [line for line in dockerfile() if line.name in ("HEALTHCHECK", "ENTRYPOINT", "ADD")]


def test_what_it_copies_is_enough_for_the_roles(tmp_path):
    image, home = tmp_path / "app", tmp_path / "home"
    image.mkdir()
    home.mkdir()
    unpack_image(image)
    answer = subprocess.run(
        ["python", "-m", "pipeline", "config"],
        cwd=image,
        env=image_environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    said = {line.split()[0]: line.split()[1:] for line in answer.stdout.splitlines()}
    assert said["ORDERPULSE_DATA_DIR"] == ["/data", "[environment]"]
    assert said["ORDERPULSE_RULES_FILE"] == ["rules.toml", "[default]"]
    assert said["ORDERPULSE_SCHEMAS_DIR"] == ["schemas", "[default]"]
