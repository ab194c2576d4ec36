"""Dead-letter headers of every dialect we know, one module each, read into one kind of Failure; and those we write."""

from __future__ import annotations

from pipeline.headers.codec import headers_from_json, headers_to_json
from pipeline.headers.dialects import DIALECTS, EVERY_DIALECT
from pipeline.headers.dialects.smallrye import original_key_and_value
from pipeline.headers.failures import (
    HEADERS_IN_ANY_ORDER,
    MAY_LACK_BODY,
    NEVER_WRITTEN,
    NO_DIALECT,
    binary_number_of,
    failed_at_ms_of,
    gives_no_reason,
    newest_position,
    read_failure,
    reason_of,
    source_timestamp_ms_of,
    why_not_replayed,
    writer_of,
)
from pipeline.headers.own import dead_letter_id_of, failure_headers, last_text, replay_id_of
from pipeline.headers.replays import replay_headers

__all__ = [
    "DIALECTS",
    "EVERY_DIALECT",
    "HEADERS_IN_ANY_ORDER",
    "MAY_LACK_BODY",
    "NEVER_WRITTEN",
    "NO_DIALECT",
    "binary_number_of",
    "dead_letter_id_of",
    "failed_at_ms_of",
    "failure_headers",
    "gives_no_reason",
    "headers_from_json",
    "headers_to_json",
    "last_text",
    "newest_position",
    "original_key_and_value",
    "read_failure",
    "reason_of",
    "replay_headers",
    "replay_id_of",
    "source_timestamp_ms_of",
    "why_not_replayed",
    "writer_of",
]
