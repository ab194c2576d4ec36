"""What one broker's server.properties says: Kafka's defaults, except where they do not fit one small machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.local.certificates import CertificateAuthority

PLAINTEXT = "PLAINTEXT"
CONTROLLER = "CONTROLLER"
CLIENTS = "CLIENTS"
"""A plaintext listener that brokers do not use among themselves, for clients that come by another address."""
MECHANISMS = ("SCRAM-SHA-512", "PLAIN", "OAUTHBEARER")


@dataclass(frozen=True, slots=True)
class Security:
    """Listeners beside the plaintext one, and who may do what.

    `listeners` are of SSL, SASL_SSL and SASL_PLAINTEXT. `users` (name to password, without commas) may use
    SCRAM-SHA-512 and PLAIN alike; with OAUTHBEARER, whoever has a JSON Web Token is its subject, signed or not. With
    `client_certificates` the SSL listener demands one that `authority` has signed (mutual TLS). With `acls` nobody may
    do anything without an ACL, except `super_users` and whoever comes by the plaintext listener, which is the brokers'
    and the test's own.
    """

    listeners: tuple[str, ...] = ()
    users: Mapping[str, str] = field(default_factory=dict)
    authority: CertificateAuthority | None = None
    client_certificates: bool = False
    acls: bool = False
    super_users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BrokerPorts:
    """The ports of one broker, by listener name, and where it tells the clients of CLIENTS to go, `host:port`."""

    by_listener: Mapping[str, int]
    advertised: str = ""

    def address(self, listener: str) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.by_listener[listener]}"


def listener_names(security: Security) -> tuple[str, ...]:
    """The listeners that every broker has which is a controller, too."""
    return (PLAINTEXT, *security.listeners, CONTROLLER)


def server_properties(
    node_id: int,
    ports: Sequence[BrokerPorts],
    folder: Path,
    security: Security,
    overrides: Mapping[str, str],
    controllers: int,
) -> dict[str, str]:
    """The properties of one broker, its id counted from 1; `ports` are those of all brokers.

    The first `controllers` brokers are controllers, too.
    """
    return {
        **_identity(node_id, ports, folder, security, controllers),
        **_sizes(len(ports)),
        **_tls(folder, security),
        **_sasl(security),
        **_acls(security),
        **overrides,
    }


def as_text(properties: Mapping[str, str]) -> str:
    """A Java properties file."""
    return "".join(f"{name}={_escaped(value)}\n" for name, value in properties.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")


def _identity(
    node_id: int, ports: Sequence[BrokerPorts], folder: Path, security: Security, controllers: int
) -> dict[str, str]:
    own = ports[node_id - 1]
    public = (PLAINTEXT, *security.listeners, *([CLIENTS] if own.advertised else []))
    controls = node_id <= controllers
    listeners = (*public, CONTROLLER) if controls else public
    told = {CLIENTS: own.advertised}
    plain = (CONTROLLER, CLIENTS)
    protocols = [f"{name}:{PLAINTEXT if name in plain else name}" for name in (*public, CONTROLLER)]
    voters = [f"{number}@{each.address(CONTROLLER)}" for number, each in enumerate(ports[:controllers], 1)]
    return {
        "process.roles": "broker,controller" if controls else "broker",
        "node.id": str(node_id),
        "controller.quorum.voters": ",".join(voters),
        "listeners": ",".join(f"{name}://{own.address(name)}" for name in listeners),
        "advertised.listeners": ",".join(f"{name}://{told.get(name) or own.address(name)}" for name in public),
        "listener.security.protocol.map": ",".join(protocols),
        "inter.broker.listener.name": PLAINTEXT,
        "controller.listener.names": CONTROLLER,
        "log.dirs": str(folder / "data"),
    }


def _sizes(brokers: int) -> dict[str, str]:
    replicas, in_sync = str(min(brokers, 3)), str(2 if brokers > 2 else 1)
    internal = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        **{f"{topic}.replication.factor": replicas for topic in internal},
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.min.isr": in_sync,
        # Kafka's 50 partitions each take files and time, for nothing here.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.num.partitions": "4",
        # A test's group is complete with its first member; waiting 3 s for more is for production.
        "group.initial.rebalance.delay.ms": "0",
        # Otherwise a controller that has nothing to write writes a record that says so, every half a second.
        "metadata.max.idle.interval.ms": "0",
    }


def _tls(folder: Path, security: Security) -> dict[str, str]:
    if security.authority is None:
        return {}
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(security.authority.server().pem_file()),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(security.authority.ca_file),
        "ssl.principal.mapping.rules": "RULE:^CN=(.*?)$/$1/,DEFAULT",
        "listener.name.ssl.ssl.client.auth": "required" if security.client_certificates else "none",
    }


def _sasl(security: Security) -> dict[str, str]:
    listeners = [name.lower() for name in security.listeners if name.startswith("SASL")]
    if not listeners:
        return {}
    users = "".join(f" user_{name}={_quoted(password)}" for name, password in security.users.items())
    found = {"sasl.enabled.mechanisms": ",".join(MECHANISMS)}
    for name in listeners:
        found |= {
            f"listener.name.{name}.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            f"listener.name.{name}.plain.sasl.jaas.config": (
                f"org.apache.kafka.common.security.plain.PlainLoginModule required{users};"
            ),
            f"listener.name.{name}.oauthbearer.sasl.jaas.config": (
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
                'unsecuredLoginStringClaim_sub="nobody";'
            ),
        }
    return found


def _quoted(password: str) -> str:
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _acls(security: Security) -> dict[str, str]:
    if not security.acls:
        return {}
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": ";".join(f"User:{name}" for name in ("ANONYMOUS", *security.super_users)),
    }
