"""The services of docker-compose.yml, run as they stand there: Apache Kafka, a registry, three processors, the app.

One test, as all of its steps need the same services and starting them takes most of its time.
"""

from __future__ import annotations

import graphlib
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from pipeline.buffer import Reader
from pipeline.running.statusboard import RoleStatus, read_roles
from scripts.local.fetch import kafka_jars, registry_home
from scripts.local.process import QUICK_START, free_ports
from scripts.waiting import wait_for
from tests.support.containers import OURS, Containers

END_S = 5.0
PROCESSORS = 3
SHOW_EVERY_PAGE = """
from pathlib import Path
from streamlit.testing.v1 import AppTest

app = AppTest.from_file("streamlit_app.py", default_timeout=30).run()
for page in sorted(Path("pages").glob("*.py")):
    app.switch_page(str(page)).run()
    assert not app.exception, (page, app.exception)
    print(page.stem, *(metric.value for metric in app.metric))
"""


SAVE = """
from pipeline.buffer import open_buffer
from pipeline.clock import wall_clock_ms
from pipeline.jobs.requests import save_section
from pipeline.settings import load_settings

settings = load_settings()
with open_buffer(settings.database_file) as buffer:
    save_section(settings, buffer, wall_clock_ms, "shop", {section!r}, "somebody")
"""
SECTION = """[topics.shop]
order_id = "id"
customer_id = "key"
product = "sku"
price = "total"
created_at = "timestamp"
"""
SHOW_SECTIONS = """
from pipeline.orders.mapping.mapping_file import load_mappings
from pipeline.settings import load_settings

print(*load_mappings(load_settings()).mappings.sections)
"""


class Stack:
    """All services, started in the order in which they become healthy; `early` has who was healthy before it ran."""

    def __init__(self, folder: Path) -> None:
        self.kafka_port, controller, self.registry_port, self.app_port = free_ports(4)
        self.data_dir = folder / "data"
        self.containers = Containers(
            folder,
            # What a container has to itself, and what it is here.
            {
                "kafka:": "127.0.0.1:",
                "registry:": "127.0.0.1:",
                "0.0.0.0": "127.0.0.1",
                "9092": str(self.kafka_port),
                "9093": str(controller),
                "8080": str(self.registry_port),
                "8501": str(self.app_port),
                "/var/lib/kafka/data": str(folder / "kafka"),
                "/data": str(self.data_dir),
                "/config": str(folder / "config"),
            },
        )
        self.early: list[str] = []
        self.started: dict[str, list[subprocess.Popen[bytes]]] = {}

    def up(self) -> None:
        needs = {name: said.get("depends_on", {}) for name, said in self.containers.services.items()}
        order = graphlib.TopologicalSorter(needs)
        order.prepare()
        # As Compose does: all at once whose needs are healthy.
        while order.is_active():
            ready = order.get_ready()
            self.early += [service for service in ready if self.containers.check(service).returncode == 0]
            for service in ready:
                copies = PROCESSORS if service == "processor" else 1
                self.started[service] = [self._start(service) for _ in range(copies)]
            for service in ready:
                wait_for(f"{service} healthy", lambda service=service: self._healthy(service))
            order.done(*ready)

    def processors(self) -> dict[int, RoleStatus]:
        roles = read_roles(self.data_dir)
        return {role.instance: role for role in roles if role.role == "processor" and role.state == "running"}

    def partitions(self) -> dict[int, set[str]]:
        """Partitions by the processor's instance."""
        return {instance: set(role.figures.get("partitions", ())) for instance, role in self.processors().items()}

    def _start(self, service: str) -> subprocess.Popen[bytes]:
        commands = {"kafka": self._kafka_command, "registry": _registry_command}
        return self.containers.start(service, commands[service]() if service in commands else ())

    def _healthy(self, service: str) -> bool:
        ended = [process for process in self.started[service] if process.poll() is not None]
        assert ended == [], self.containers.log(service)
        return self.containers.check(service).returncode == 0

    def _kafka_command(self) -> list[str]:
        set_up = self.set_up_kafka()
        assert set_up.returncode == 0, set_up.stderr
        heap = self.containers.environment("kafka")["KAFKA_HEAP_OPTS"].split()
        properties = self.containers.folder / "final" / "server.properties"
        return [*_kafka_java(*heap), "kafka.Kafka", str(properties)]

    def set_up_kafka(self) -> subprocess.CompletedProcess[str]:
        """What the image does first: server.properties of the environment, and the data folder formatted."""
        folders = [self.containers.folder / name for name in ("default", "mounted", "final")]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        options = [f"--{folder.name}-configs-dir={folder}" for folder in folders]
        return self.containers.run("kafka", *_kafka_java(), "kafka.docker.KafkaDockerWrapper", "setup", *options)


def _kafka_java(*options: str) -> list[str]:
    return ["java", *QUICK_START, *options, "-cp", f"{kafka_jars()}/*"]


def _registry_command() -> list[str]:
    """As the image does, which sets the host too (to all addresses)."""
    [jar] = registry_home().glob("*-runner.jar")
    return ["java", *QUICK_START, "-Xmx320m", "-Dquarkus.http.host=127.0.0.1", "-jar", str(jar)]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    try:
        stack.up()
        yield stack
    finally:
        stack.containers.end()


def each_health_check_was_content_only_after_its_service_had_started(stack):
    assert stack.early == []
    assert set(stack.started) == set(stack.containers.services)


def kafka_has_the_settings_of_the_file_and_answers_by_the_name_it_advertises(stack):
    view = AdminClient({"bootstrap.servers": f"127.0.0.1:{stack.kafka_port}"})
    found = view.list_topics(timeout=10)
    assert found.cluster_id == stack.containers.services["kafka"]["environment"]["CLUSTER_ID"]
    assert [broker.port for broker in found.brokers.values()] == [stack.kafka_port]
    assert len(found.topics["orders"].partitions) == 6
    assert len(found.topics["__consumer_offsets"].partitions[0].replicas) == 1


def kafka_started_again_finds_its_data_folder_in_order(stack):
    """The image goes on only when the set-up succeeds or says that it was done before."""
    answer = stack.set_up_kafka()
    assert "already formatted" in answer.stdout + answer.stderr


def three_processors_take_numbers_of_their_own_and_share_the_partitions(stack):
    shares = wait_for("6 partitions dealt out", lambda: _dealt_out(stack.partitions()))
    assert set(shares) == {0, 1, 2}
    assert sorted(map(len, shares.values())) == [2, 2, 2]


def orders_flow_from_a_command_in_a_container_to_the_buffer(stack):
    command = ("python", "-m", "pipeline", "produce", "--count", "300", "--invalid-share", "0.1")
    answer = stack.containers.run("worker", *command)
    assert answer.returncode == 0, answer.stderr
    with Reader(stack.data_dir / "orderpulse.db") as reader:
        totals = wait_for("300 settled", lambda: (now := reader.totals()).orders + now.dead_letters == 300 and now)
        assert (totals.orders, totals.dead_letters) == (270, 30)
    check = stack.containers.run("worker", "python", "-m", "pipeline", "check")
    assert check.returncode == 0, check.stdout


def a_processor_that_was_killed_has_its_number_and_its_partitions_again_when_it_is_restarted(stack):
    before = wait_for("6 partitions dealt out", lambda: _dealt_out(stack.partitions()))
    killed = stack.processors()[1]
    os.kill(killed.pid, signal.SIGKILL)
    [process] = [each for each in stack.started["processor"] if each.pid == killed.pid]
    process.wait()
    restarted = stack.containers.start("processor")
    stack.started["processor"] = [each for each in stack.started["processor"] if each is not process] + [restarted]
    wait_for("the new process", lambda: (now := stack.processors().get(1)) is not None and now.pid == restarted.pid)
    assert wait_for("6 partitions dealt out", lambda: _dealt_out(stack.partitions())) == before


def the_registry_speaks_the_api_that_the_roles_are_told(stack):
    url = stack.containers.environment("worker")["ORDERPULSE_SCHEMA_REGISTRY_URL"]
    with urllib.request.urlopen(f"{url}/subjects", timeout=10) as answer:
        assert answer.status == 200


def every_page_of_the_app_shows_without_an_error_and_none_starts_a_pipeline(stack):
    answer = stack.containers.run("app", "python", "-c", SHOW_EVERY_PAGE)
    assert answer.returncode == 0, answer.stderr
    assert "270" in answer.stdout
    assert not (stack.data_dir / "up.lock").exists()


def a_section_that_is_saved_in_the_app_is_in_force_everywhere_and_outlives_the_containers(stack):
    # What is in a container's own folder is gone with it, and cannot be written.
    own = sorted(stack.containers.image_dir.rglob("*.toml"))
    before = {instance: role.figures["mapping_version"] for instance, role in stack.processors().items()}
    saved = stack.containers.run("app", "python", "-c", SAVE.format(section=SECTION))
    assert saved.returncode == 0, saved.stderr
    assert sorted(stack.containers.image_dir.rglob("*.toml")) == own
    wait_for(
        "all processors following",
        lambda: all(
            role.figures["mapping_version"] != before[instance] and not role.figures["mapping_error"]
            for instance, role in stack.processors().items()
        ),
    )
    for service in OURS:
        shown = stack.containers.run(service, "python", "-c", SHOW_SECTIONS)
        assert (shown.stdout, shown.stderr) == ("shop\n", "")
    kept = stack.containers.folder / "config" / "mapping.toml"
    assert kept.read_text() == SECTION


def every_service_of_ours_ends_soon_after_sigterm(stack):
    asked = [(service, process) for service in OURS for process in stack.started[service]]
    for _, process in asked:
        process.terminate()
    until = time.monotonic() + END_S
    for service, process in asked:
        assert process.wait(max(0.1, until - time.monotonic())) == 0, stack.containers.log(service)
    assert {role.state for role in read_roles(stack.data_dir)} == {"stopped"}
    for service in OURS:
        assert stack.containers.check(service).returncode == 1


def _dealt_out(shares: dict[int, set[str]]) -> dict[int, set[str]]:
    """The shares, once each partition is somebody's and nobody has one twice."""
    dealt = [partition for share in shares.values() for partition in share]
    return shares if len(dealt) == len(set(dealt)) == 6 and len(shares) == PROCESSORS else {}


@pytest.mark.alone
def test_the_services_run_as_the_compose_file_says(stack, subtests):
    for step in (
        each_health_check_was_content_only_after_its_service_had_started,
        kafka_has_the_settings_of_the_file_and_answers_by_the_name_it_advertises,
        kafka_started_again_finds_its_data_folder_in_order,
        three_processors_take_numbers_of_their_own_and_share_the_partitions,
        orders_flow_from_a_command_in_a_container_to_the_buffer,
        a_processor_that_was_killed_has_its_number_and_its_partitions_again_when_it_is_restarted,
        the_registry_speaks_the_api_that_the_roles_are_told,
        every_page_of_the_app_shows_without_an_error_and_none_starts_a_pipeline,
        a_section_that_is_saved_in_the_app_is_in_force_everywhere_and_outlives_the_containers,
        every_service_of_ours_ends_soon_after_sigterm,
    ):
        with subtests.test(step.__name__.replace("_", " ")):
            step(stack)
