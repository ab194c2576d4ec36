"""One version, in `pipeline/version.py`: whoever asks for it, and whatever else names one, has the same."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, libversion
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry, generate_latest

from pipeline.__main__ import main
from pipeline.clock import wall_clock_ms
from pipeline.kafka import Cluster
from pipeline.kafka.connection.client import Trouble, client_config
from pipeline.settings import PROJECT_DIR, load_settings
from pipeline.version import VERSION
from pipeline.watching.metrics import PipelineMetrics


def found_in(file: str, pattern: str) -> list[str]:
    return re.findall(pattern, (PROJECT_DIR / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_the_list_for_a_release_names_every_file_that_has_it():
    _, _, release = (PROJECT_DIR / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n## Release\n")
    named = re.findall(r"`([\w./-]+\.(?:py|md|yml|toml))`", release)
    assert named == [
        "pipeline/version.py",
        "pyproject.toml",
        "docker-compose.yml",
        "SECURITY.md",
        "docs/connecting.md",
        "CHANGELOG.md",
        "tests/unit/project/test_version.py",
    ]


def test_it_is_a_version_that_a_tag_an_image_and_a_broker_take():
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)


def test_pyproject_has_it():
    project = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION


def test_it_is_the_newest_version_of_the_changelog():
    assert found_in("CHANGELOG.md", r"^## \[(\d[^\]]*)\]")[0] == VERSION


def test_docker_compose_names_the_image_by_it():
    assert found_in("docker-compose.yml", r"image: orderpulse:(\S+)") == [VERSION]


def test_security_names_it_as_supported():
    assert VERSION in found_in("SECURITY.md", r"^\| (\d+\.\d+\.\d+)\b")


def test_the_example_in_the_docs_is_of_this_version():
    assert found_in("docs/connecting.md", r"`(\S+)-rdkafka-\S+`") == [VERSION]


def test_the_command_line_says_it(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"orderpulse {VERSION}\n"


def test_it_is_said_without_importing_what_only_a_command_needs():
    look = (
        "import sys\n"
        "from pipeline.__main__ import main\n"
        "try:\n"
        "    main(['--version'])\n"
        "except SystemExit:\n"
        "    print(*sorted({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names))\n"
    )
    said = subprocess.run(
        [sys.executable, "-S", "-c", look], cwd=PROJECT_DIR, capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == [f"orderpulse {VERSION}", "__main__ pipeline"]


def test_the_metrics_have_it_even_without_a_buffer(tmp_path):
    registry = CollectorRegistry()
    registry.register(PipelineMetrics(load_settings(data_dir=tmp_path), wall_clock_ms))
    assert f'orderpulse_build_info{{version="{VERSION}"}} 1.0' in generate_latest(registry).decode().splitlines()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server


@pytest.mark.parametrize(
    ("kind", "make", "more"),
    [("producer", Producer, {}), ("consumer", Consumer, {"group.id": "shop"}), ("admin", AdminClient, {})],
)
def test_a_client_tells_its_broker_the_version_and_keeps_an_id_without_it(listener, kind, make, more):
    cluster = Cluster(f"127.0.0.1:{listener.getsockname()[1]}")
    settings = load_settings(bootstrap_servers=cluster.bootstrap_servers, group_id="shop")
    client = make(client_config(settings, cluster, kind, Trouble(cluster)) | more)
    first: list[bytes] = []

    def answer_nothing() -> None:
        connection, _ = listener.accept()
        with connection:
            first.append(connection.recv(1000))

    broker = threading.Thread(target=answer_nothing)
    broker.start()
    with pytest.raises(KafkaException):
        client.list_topics(timeout=1)
    broker.join()
    # ApiVersions, version 3: the header ends with the client id, then compact strings of name and version.
    software = f"{VERSION}-rdkafka-{libversion()[0]}".encode()
    client_id = f"shop-{kind}".encode()
    assert len(client_id).to_bytes(2, "big") + client_id + b"\x00" in first[0]
    assert b"\x0borderpulse" + bytes([len(software) + 1]) + software in first[0]
