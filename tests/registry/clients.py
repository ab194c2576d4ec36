"""Our client as these tests make it, and what it says when it has no schema to give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import RegistryUnavailableError, SchemaPendingError
from pipeline.kafka.schema_registry import RegistryClient
from pipeline.schema_source import SchemaId, SchemaRef
from pipeline.settings import load_settings
from scripts.local.certificates import CertificateAuthority
from tests.support.registry_proxy import RegistryProxy

USER_INFO = "reader:s3cret-Passw0rd"
PASSWORD = USER_INFO.partition(":")[2]
NEVER = 1_000_000
"""An id that is far from any that these tests register."""


class Clock:
    """A clock that is moved by hand."""

    now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


def client_of(url: str, clock: Callable[[], int] = lambda: 0, **config: Any) -> RegistryClient:
    return RegistryClient(load_settings(schema_registry_url=url, schema_registry_config=config), clock)


def through(proxy: RegistryProxy, authority: CertificateAuthority, **config: Any) -> RegistryClient:
    """A client that knows the password and trusts the certificate, unless told otherwise."""
    known = {"basic.auth.user.info": USER_INFO, "ssl.ca.location": str(authority.ca_file)}
    return client_of(proxy.url, **known | config)


def assert_pending(client: RegistryClient, ref: SchemaRef | int) -> None:
    """The registry answers that it does not know it, and that is not believed yet. A number is a schema id."""
    ref = SchemaId(ref) if isinstance(ref, int) else ref
    with pytest.raises(SchemaPendingError, match=f"^unknown {ref}, so far$"):
        client.get(ref)


def complaint(client: RegistryClient, ref: SchemaRef | int = NEVER) -> str:
    """What is said when there is no answer, for certain in one line and without the password."""
    with pytest.raises(RegistryUnavailableError) as caught:
        client.get(SchemaId(ref) if isinstance(ref, int) else ref)
    text = str(caught.value)
    assert "\n" not in text
    assert PASSWORD not in text
    assert text.startswith("the schema registry at http")
    return text
