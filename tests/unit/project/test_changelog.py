"""CHANGELOG.md names what users can see: each dialect, rule key, field and page that came after the first version."""

from __future__ import annotations

import re

import pytest

from pipeline.headers import DIALECTS
from pipeline.orders.fields import ORDER_FIELDS
from pipeline.orders.rules import RULES
from pipeline.settings import PROJECT_DIR
from tests.support.navigation import PAGES

TEXT = (PROJECT_DIR / "CHANGELOG.md").read_text(encoding="utf-8")
FIRST_VERSION = {
    "dialect": {
        *("orderpulse", "spring-kafka", "spring-cloud-stream", "kafka-connect", "kafka-streams", "share-group"),
        *("smallrye", "karafka", "arroyo", "nservicebus"),
    },
    "rule key": {"required", "price_min", "price_max", "products", "max_ahead_s", "max_age_s"},
    "field": {"order_id", "customer_id", "product", "price", "created_at", "region"},
    "page": {"Overview", "Orders", "Dead letters", "Jobs", "Pipeline", "Alerts"},
}
"""What 0.1.0 had. Nothing is added here: what is new has a line in CHANGELOG.md."""
NOW = {
    "dialect": {dialect.name for dialect in DIALECTS},
    "rule key": {key for rule in RULES for key in rule.file_keys()},
    "field": {field.avro_name for field in ORDER_FIELDS},
    "page": {page.title for page in PAGES},
}


@pytest.mark.parametrize("kind", NOW)
def test_what_came_after_the_first_version_is_named(kind: str) -> None:
    added = NOW[kind] - FIRST_VERSION[kind]
    unnamed = {name for name in added if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", TEXT, re.IGNORECASE)}
    assert not unnamed, f"CHANGELOG.md, Unreleased: no line names the new {kind} {sorted(unnamed)}"
