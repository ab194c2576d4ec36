"""A real registry whose schemas have GUIDs: Apicurio gives none, and confluent-kafka's header serializer needs them.

The schemas, their ids and what is allowed are the registry's. A GUID is told beside each id, and asked for by it.
"""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler
from uuid import NAMESPACE_URL, uuid5

from tests.support.registry_proxy import RegistryProxy

_BY_GUID = re.compile(r"(?P<before>.*/schemas)/guids/(?P<guid>[0-9a-f-]{36})(?P<query>\?.*)?")


class GuidProxy(RegistryProxy):
    """Forwards to `target_url`; `with GuidProxy(…)` starts and stops it."""

    def __init__(self, target_url: str) -> None:
        super().__init__(target_url)
        self._ids: dict[str, int] = {}

    def _forwarded(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes, str]:
        match = _BY_GUID.fullmatch(request.path)
        if match:
            if match["guid"] not in self._ids:
                return 404, b'{"error_code": 40403, "message": "Schema not found"}', "application/json"
            request.path = f"{match['before']}/ids/{self._ids[match['guid']]}{match['query'] or ''}"
        status, answer, content_type = super()._forwarded(request, body)
        told = json.loads(answer) if status == 200 else None
        if isinstance(told, dict) and "id" in told:
            answer = json.dumps(told | {"guid": self._guid_of(told["id"])}).encode()
        return status, answer, content_type

    def _guid_of(self, schema_id: int) -> str:
        guid = str(uuid5(NAMESPACE_URL, f"{self.target.geturl()}/schemas/ids/{schema_id}"))
        self._ids[guid] = schema_id
        return guid
