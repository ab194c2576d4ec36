"""Apache Kafka on this machine: KRaft brokers, controllers among them, on free ports, in a folder of their own."""

from __future__ import annotations

import shutil
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from scripts.local.class_archive import with_kept_classes
from scripts.local.fetch import kafka_jars
from scripts.local.process import JavaProcess, LocalService, LocalServiceError, free_ports, run_java
from scripts.local.server_properties import (
    CLIENTS,
    PLAINTEXT,
    BrokerPorts,
    Security,
    as_text,
    listener_names,
    server_properties,
)

START_S = 90.0
STOP_S = 60.0
"""One whose classes are kept writes them when it is asked to end."""
TOOL_S = 60.0
ANSWER_S = 2.0
HEAP_MB = {1: 512}
HEAP_OF_MANY_MB = 320
_QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"


class KafkaCluster(LocalService):
    """Brokers 1 to `brokers`; `with KafkaCluster(folder) as kafka` starts them and stops them.

    `properties` override those of server.properties, for every broker. The first `controllers` brokers are controllers
    too, all of them unless a number is given: without most of those no partition gets another leader. With
    `advertised`, `host:port` for each broker, each has a listener CLIENTS, which sends clients there. Data, settings
    and logs are in `folder`, and stay there. Start it from a thread that outlives it: the brokers end with the thread
    that started them. With `java_options` the JVMs get those instead of what makes use of classes that are kept.
    """

    def __init__(
        self,
        folder: Path,
        brokers: int = 1,
        properties: Mapping[str, str] | None = None,
        security: Security | None = None,
        controllers: int = 0,
        advertised: Sequence[str] = (),
        java_options: Sequence[str] | None = None,
    ) -> None:
        self.folder = folder
        self.security = security or Security()
        self._properties = dict(properties or {})
        self._controllers = controllers or brokers
        self._heap_mb = HEAP_MB.get(brokers, HEAP_OF_MANY_MB)
        self._ports = _ports(brokers, listener_names(self.security), advertised)
        self._processes: dict[int, JavaProcess] = {}
        options = with_kept_classes(kafka_jars()) if java_options is None else tuple(java_options)
        self._java = (*options, "-cp", f"{kafka_jars()}/*", _QUIET)

    @property
    def bootstrap_servers(self) -> str:
        """All brokers on the plaintext listener, `host:port,…`."""
        return self.addresses(PLAINTEXT)

    def addresses(self, listener: str) -> str:
        """All brokers on one of the listeners (PLAINTEXT, SSL, SASL_SSL, SASL_PLAINTEXT), `host:port,…`."""
        return ",".join(ports.address(listener) for ports in self._ports)

    def start(self) -> None:
        """Formats the brokers' folders, runs them and waits until each knows all. Raises LocalServiceError."""
        self._format()
        for broker in self.brokers:
            self._run(broker)
        for broker in self.brokers:
            self._wait_until_up(broker)

    def stop(self) -> None:
        """Asks the brokers to end, all at once, and waits until they have."""
        for process in self._processes.values():
            process.ask_to_end()
        for process in self._processes.values():
            process.wait_for_end(STOP_S)
        self._processes.clear()

    def kill(self, broker: int) -> None:
        """Ends a broker without a word (SIGKILL).

        Kafka misses it after `broker.session.timeout.ms` (9 s), and lets it return only then.
        """
        self._processes.pop(broker).kill()

    def stop_broker(self, broker: int) -> None:
        """Asks one broker to end and waits until it has: its partitions' leaders move first."""
        process = self._processes.pop(broker)
        process.ask_to_end()
        process.wait_for_end(STOP_S)

    def restart(self, broker: int) -> None:
        """Runs a broker again, ending it first if need be: the same ports, the same data. Waits until it is up."""
        if broker in self._processes:
            self.stop_broker(broker)
        self._run(broker)
        self._wait_until_up(broker)

    def wipe(self) -> None:
        """Ends the brokers, forgets all they had, and runs them again: another cluster at the same addresses."""
        self.stop()
        for broker in self.brokers:
            shutil.rmtree(self._broker_folder(broker))
        self.start()

    @property
    def brokers(self) -> range:
        """Every broker's id, whether it runs or not."""
        return range(1, len(self._ports) + 1)

    def port(self, broker: int, listener: str = PLAINTEXT) -> int:
        """Where a broker listens, whatever it advertises."""
        return self._ports[broker - 1].by_listener[listener]

    def pid(self, broker: int) -> int:
        """The process id of a broker that runs."""
        return self._processes[broker].pid

    def ended(self) -> list[int]:
        """Brokers that have ended by themselves."""
        return [broker for broker, process in self._processes.items() if not process.alive]

    def tool(self, main_class: str, *arguments: str, stdin: str = "", deadline_s: float = TOOL_S) -> str:
        """What one of Kafka's own command line tools prints. Raises LocalServiceError when it fails.

        Such as `org.apache.kafka.tools.consumer.ConsoleConsumer` or
        `org.apache.kafka.tools.consumer.group.ConsumerGroupCommand`.
        """
        connected = ("--bootstrap-server", self.bootstrap_servers)
        return run_java((*self._java, main_class, *connected, *arguments), deadline_s, stdin)

    def client_config(self, listener: str, user: str = "", mechanism: str = "SCRAM-SHA-512") -> dict[str, Any]:
        """librdkafka's properties for a client of that listener, without `bootstrap.servers`."""
        config: dict[str, Any] = {"security.protocol": listener}
        if listener.endswith("SSL") and self.security.authority is not None:
            config["ssl.ca.location"] = str(self.security.authority.ca_file)
        if listener.startswith("SASL"):
            config["sasl.mechanisms"] = mechanism
            if mechanism != "OAUTHBEARER":
                config |= {"sasl.username": user, "sasl.password": self.security.users[user]}
        if listener == "SSL" and user and self.security.authority is not None:
            pair = self.security.authority.client(user)
            config |= {"ssl.key.location": str(pair.key_file), "ssl.certificate.location": str(pair.certificate_file)}
        return config

    def _format(self) -> None:
        # Kafka's ids are 16 bytes in 22 letters; this one does not begin with a dash, which would be an option.
        cluster_id = urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        users = self.security.users.items()
        scram = [
            word
            for name, password in users
            for word in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
        ]
        for broker in self.brokers:
            folder = self._broker_folder(broker)
            folder.mkdir(parents=True)
            properties = server_properties(
                broker, self._ports, folder, self.security, self._properties, self._controllers
            )
            (folder / "server.properties").write_text(as_text(properties))
            tool = ("kafka.tools.StorageTool", "format", "--cluster-id", cluster_id)
            config = ("--config", str(folder / "server.properties"))
            run_java((*self._java, *tool, *config, *scram), TOOL_S)

    def _run(self, broker: int) -> None:
        folder = self._broker_folder(broker)
        memory = (f"-Xmx{self._heap_mb}m", "-Xms64m")
        self._processes[broker] = JavaProcess(
            (*memory, *self._java, "kafka.Kafka", str(folder / "server.properties")),
            self.folder / f"broker-{broker}.log",
        )

    def _wait_until_up(self, broker: int) -> None:
        address = self._ports[broker - 1].address(PLAINTEXT)
        quiet = {"log_level": 0, "reconnect.backoff.max.ms": 100}
        view = AdminClient({"bootstrap.servers": address, **quiet})
        wanted = set(self._processes)
        self._processes[broker].wait_until("up", lambda: wanted <= _brokers_known(view), START_S)

    def _broker_folder(self, broker: int) -> Path:
        return self.folder / f"broker-{broker}"


def _brokers_known(view: AdminClient) -> set[int]:
    try:
        return set(view.list_topics(timeout=ANSWER_S).brokers)
    except KafkaException:
        return set()


def _ports(brokers: int, listeners: tuple[str, ...], advertised: Sequence[str]) -> list[BrokerPorts]:
    if brokers < 1:
        raise LocalServiceError("a cluster has at least one broker")
    if advertised:
        listeners = (*listeners, CLIENTS)
    free = iter(free_ports(brokers * len(listeners)))
    told = advertised or [""] * brokers
    return [BrokerPorts({listener: next(free) for listener in listeners}, each) for each in told]
