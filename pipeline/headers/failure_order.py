"""A record that failed in several programs carries the headers of all: which of them failed first, and which last?

Where each writer appends or prepends its headers, their order tells. As soon as one of them is unordered, no order
tells, and what the headers say has to decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.headers.dialect import Dialect
from pipeline.headers.own import REPLAY_ID, REPLAY_OF
from pipeline.headers.values import HeadersByName, as_text
from pipeline.records import Failure


def oldest_first(
    carried: Sequence[Dialect], last_index: Mapping[Dialect, int], headers: HeadersByName
) -> list[Dialect]:
    """The dialects that a record carries, the first to fail first, by the order of the headers.

    `carried` is in the order of each dialect's first header; `last_index` has the index of its last one. No dialect is
    unordered.
    Those that append end last when they fail last. One that prepends stands first whether it failed first or last.
    """
    if not headers.has_repeats:
        # One whose headers another dialect borrows has failed itself when they are there twice, or more of its own.
        borrowed = {each.borrows_from for each in carried if headers.names.isdisjoint(each.not_borrowed)}
        carried = [each for each in carried if each not in borrowed]
        if len(carried) == 1:
            # Nearly always, as ours borrow Connect's.
            return carried
    newest = max(carried, key=last_index.__getitem__)
    prepending = next((each for each in carried if each.header_order == "prepended"), newest)
    # Of two that prepend the one before the other is the newer.
    if prepending is not newest and (
        newest.header_order == "prepended" or _prepending_is_newer(prepending, newest, last_index[newest], headers)
    ):
        newest = prepending
    return [each for each in carried if each is not newest] + [newest]


def _prepending_is_newer(prepending: Dialect, other: Dialect, last_index: int, headers: HeadersByName) -> bool:
    """Whether the one that prepends failed last: a replay or a higher offset of the same partition tells.

    `last_index` is that of the other's last header. When nothing tells, the other one is taken for the newest.
    """
    replay_indexes = [index for index, (name, _) in enumerate(headers.in_order) if name == REPLAY_ID]
    if replay_indexes:
        return replay_indexes[-1] > last_index
    return _has_higher_offset(prepending.read(headers), other.read(headers)) is True


def oldest_first_by_content(carried: Sequence[Dialect], headers: HeadersByName) -> list[Dialect]:
    """The same for a record with an unordered dialect, whatever the order of its headers. What decides, in this order:

    1. Our dead-letter id and the replays of the record: a failure of ours that was replayed is older than another; one
       that no replay names, in a record that was replayed, is newer.
    2. The higher offset, where both failed in the same partition.
    3. The later time of the failure, where both tell it.
    4. Otherwise an unordered dialect is taken for the newer; of two that nothing tells apart, the later in `carried`.

    Headers that a dialect borrows are counted as its own.
    """
    borrowed = {each.borrows_from for each in carried}
    left = sorted(
        (each for each in carried if each not in borrowed), key=lambda dialect: dialect.header_order == "unordered"
    )
    failures = {each: each.read(headers) for each in left}
    replayed_ids = {text for name, value in headers.in_order if name == REPLAY_OF and (text := as_text(value))}
    newest_first: list[Dialect] = []
    while left:
        newest = left[0]
        for each in left[1:]:
            if not _is_newer(failures[newest], failures[each], replayed_ids):
                newest = each
        left.remove(newest)
        newest_first.append(newest)
    return newest_first[::-1]


def _is_newer(one: Failure, other: Failure, replayed_ids: set[str]) -> bool:
    """Whether the headers say that `one` failed after `other`; when they say nothing, it did not."""
    if replayed_ids:
        for failure in (one, other):
            if failure.dead_letter_id is not None:
                was_replayed = failure.dead_letter_id in replayed_ids
                return was_replayed is (failure is other)
    higher = _has_higher_offset(one, other)
    if higher is not None:
        return higher
    return one.failed_at_ms is not None and other.failed_at_ms is not None and one.failed_at_ms > other.failed_at_ms


def _has_higher_offset(one: Failure, other: Failure) -> bool | None:
    """Whether `one` failed at the higher offset; None when they did not fail at two known offsets of one partition."""
    if one.newest_offset is None or other.newest_offset is None or one.newest_offset == other.newest_offset:
        return None
    if (one.newest_topic, one.newest_partition) != (other.newest_topic, other.newest_partition):
        return None
    return one.newest_offset > other.newest_offset
