"""What dead letters have in common: how many of them have which value of a field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pipeline.buffer.views import FacetValue

_HOUR_MS = 3_600_000
FACETS = ("group", "source", "topic", "class", "dialect", "status", "product", "failed")
"""Fields of the query language, in the order in which they are shown; `failed` by the hour."""
FACETS_OF = (
    "SELECT fingerprint, source_topic, topic, error_class, dialect, status, product, "
    f"failed_at_ms / {_HOUR_MS}, title FROM dead_letters "
    "LEFT JOIN (SELECT fingerprint, title FROM dead_letter_groups) USING (fingerprint) "
    "WHERE id IN (SELECT value FROM json_each(:ids))"
)


def count_facets(rows: Sequence[tuple[Any, ...]], most: int) -> dict[str, list[FacetValue]]:
    """The values of each field that most rows of `FACETS_OF` have; hours newest first."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * (len(FACETS) + 1)
    titles = dict(zip(columns[0], columns[-1], strict=True))
    facets = {}
    for name, column in zip(FACETS, columns, strict=False):
        counts = Counter(value for value in column if value is not None)
        if name == "failed":
            hours = sorted(counts, reverse=True)[:most]
            facets[name] = [FacetValue(_hour(hour), _hour(hour), counts[hour]) for hour in hours]
        else:
            of_group = titles if name == "group" else {}
            facets[name] = [FacetValue(value, of_group.get(value) or value, n) for value, n in counts.most_common(most)]
    return facets


def _hour(hours: int) -> str:
    """An hour since 1970 as queries write it."""
    return datetime.fromtimestamp(hours * _HOUR_MS / 1000, UTC).strftime("%Y-%m-%dT%H")
