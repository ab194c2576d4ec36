"""The headers that a replay is sent with."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.headers.dialects import EVERY_DIALECT
from pipeline.headers.failures import read_failure
from pipeline.headers.own import (
    REPLAY_ID,
    REPLAY_OF,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_TIMESTAMP_MS,
    SOURCE_TOPIC,
    encoded,
)
from pipeline.records import Header, Headers

_NOT_REPLAYED = frozenset(name for dialect in EVERY_DIALECT for name in dialect.not_replayed)
_FRAMEWORKS_OWN = frozenset(name for dialect in EVERY_DIALECT for name in dialect.header_names)
_REFUSING = tuple(
    (dialect.required or dialect.header_names, dialect.refuses_value)
    for dialect in EVERY_DIALECT
    if dialect.refuses_value
)


def replay_headers(headers: Headers, replay_id: str, replay_of: str) -> Headers:
    """The headers a replay is sent with: those that came, in their order, and after them which replay this is.

    Left out is what a dialect names in `not_replayed`, and what the program that it goes back to cannot take; where
    that hides the first origin, headers of ours name it. `replay_of` is the id of the dead letter that is replayed. Of
    repeated replays the last counts.
    """
    kept = _kept(headers)
    origin = () if len(kept) == len(headers) else _origin(headers, tuple(kept))
    return (*kept, *origin, (REPLAY_ID, encoded(replay_id)), (REPLAY_OF, encoded(replay_of)))


def _kept(headers: Headers) -> Sequence[Header]:
    kept = [header for header in headers if header[0] not in _NOT_REPLAYED]
    names = dict(headers).keys()
    for its_names, refuses in _REFUSING:
        if its_names <= names:
            kept = [header for header in kept if header[0] not in _FRAMEWORKS_OWN or not refuses(header[1])]
    return kept


def _origin(headers: Headers, kept: Headers) -> Headers:
    """Headers of ours that name the first origin, where those that are kept do not."""
    before, after = read_failure(headers), read_failure(kept)
    told = {
        SOURCE_TOPIC: (before.source_topic, after.source_topic),
        SOURCE_PARTITION: (before.source_partition, after.source_partition),
        SOURCE_OFFSET: (before.source_offset, after.source_offset),
        SOURCE_TIMESTAMP_MS: (before.source_timestamp_ms, after.source_timestamp_ms),
    }
    if all(was == still_is for was, still_is in told.values()):
        return ()
    return tuple((name, encoded(was)) for name, (was, _) in told.items() if was is not None)
