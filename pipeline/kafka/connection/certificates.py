"""Why a broker's certificate is not trusted: librdkafka says only that it is not, whatever the reason."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from pipeline.kafka.connection.tokens import with_authorities

log = logging.getLogger(__name__)

ANSWER_S = 2.0


def why_not_trusted(address: str, properties: Mapping[str, Any]) -> str:
    """OpenSSL's reason, such as an unknown CA, an expired certificate or another host name; empty if it has none.

    `address` is `host:port`, `properties` are librdkafka's; only those of the CA are used, and nothing is sent.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    properties = with_authorities(properties)
    authority = properties.get("ssl.ca.location"), properties.get("ssl.ca.pem")
    try:
        context = ssl.create_default_context(cafile=authority[0], cadata=authority[1])
        with (
            socket.create_connection((host, int(port)), ANSWER_S) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message.rstrip(".")
    except (OSError, ValueError) as error:
        log.debug("the certificate of %s could not be looked at: %s", address, error)
        return ""
