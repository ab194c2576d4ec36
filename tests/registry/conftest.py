"""A real registry for these tests, by itself and behind a proxy with TLS and a password."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient

from scripts.local.certificates import CertificateAuthority
from scripts.local.registry import ApicurioRegistry
from tests.registry.clients import USER_INFO, Clock
from tests.support.registry_proxy import RegistryProxy

_topics = itertools.count()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApicurioRegistry]:
    """Apicurio, shared by all tests: each uses subjects of its own."""
    with ApicurioRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Signs what our clients are told to trust."""
    return CertificateAuthority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def proxy(registry: ApicurioRegistry, authority: CertificateAuthority) -> Iterator[RegistryProxy]:
    """The registry by HTTPS, for USER_INFO only."""
    with RegistryProxy(registry.url, authority.server(), USER_INFO) as running:
        yield running


@pytest.fixture
def topic() -> str:
    """A topic, so a subject, that no other test has."""
    return f"topic-{next(_topics)}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def theirs(registry: ApicurioRegistry) -> SchemaRegistryClient:
    """Another program at the same registry."""
    return SchemaRegistryClient({"url": registry.url})
