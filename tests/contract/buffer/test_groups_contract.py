"""What people say of groups: states, merges, splits and notes, and what a group shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.buffer import Buffer, Reader, open_buffer, recount
from pipeline.buffer.group_contract import HOUR_MS, LEAST_ESCALATING, LEAST_USUAL_HOURS, NEW_FOR_MS
from pipeline.buffer.sqlite.groups.moves import LETTERS_AT_ONCE
from pipeline.buffer.views import GroupDetail
from pipeline.errors import UsageError
from tests.support.buffer_rows import NOW_MS, collect, collector, dead_letter


class Groups:
    """A buffer that dead letters of any group come to, one after another."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.buffer: Buffer = open_buffer(path)
        self._assignment = collector(self.buffer)
        self._next = 0

    def add(self, group: str, count: int = 1, at_ms: int = NOW_MS, **fields: Any) -> None:
        """Dead letters of a group that fail and are collected at this time."""
        told = {"fingerprint": group, "title": f"title of {group}", "failed_at_ms": at_ms, **fields}
        rows = [dead_letter(self._assignment.ref, self._next + each, **told) for each in range(count)]
        collect(self.buffer, self._assignment, self._next, *rows, now_ms=at_ms)
        self._next += count

    def of(self, group: str, now_ms: int = NOW_MS) -> GroupDetail:
        with Reader(self.path) as reader:
            found = reader.group(group, now_ms)
        assert found is not None
        return found

    def state(self, group: str, now_ms: int = NOW_MS) -> str:
        return str(self.of(group, now_ms).row["state"])

    def totals(self) -> dict[str, int]:
        with Reader(self.path) as reader:
            return {each["fingerprint"]: each["total"] for each in reader.groups(NOW_MS).dicts()}

    def settle(self) -> list[int]:
        return list(iter(self.buffer.groups.move, 0))


@pytest.fixture
def groups(tmp_path: Path) -> Groups:
    return Groups(tmp_path / "orderpulse.db")


# -- states


def test_a_group_is_new_for_a_day_unless_somebody_says_that_it_is_known(groups: Groups) -> None:
    groups.add("a")
    groups.add("b")
    assert groups.state("a", NOW_MS + NEW_FOR_MS - 1) == "new"
    assert groups.state("a", NOW_MS + NEW_FOR_MS) == "ongoing"
    groups.buffer.groups.reopen("a", "ann", NOW_MS)
    assert (groups.state("a"), groups.state("b")) == ("ongoing", "new")


def test_a_resolved_group_is_back_with_the_next_dead_letter_until_somebody_says_something_else(groups: Groups) -> None:
    groups.add("a")
    groups.buffer.groups.resolve("a", "ann", NOW_MS + 5)
    row = groups.of("a").row
    assert (row["state"], row["said_by"], row["said_at_ms"]) == ("resolved", "ann", NOW_MS + 5)
    groups.add("b", at_ms=NOW_MS + 6)
    assert groups.state("a") == "resolved"
    groups.add("a", at_ms=NOW_MS + 7)
    groups.add("a", at_ms=NOW_MS + 8)
    row = groups.of("a").row
    assert (row["state"], row["regressed_at_ms"]) == ("regressed", NOW_MS + 7)
    assert groups.state("a", NOW_MS + 100 * NEW_FOR_MS) == "regressed"
    groups.buffer.groups.reopen("a", "ben", NOW_MS + 9)
    assert groups.state("a") == "ongoing"
    groups.buffer.groups.resolve("a", "ben", NOW_MS + 10)
    assert groups.state("a") == "resolved"


def test_an_ignored_group_is_ignored_until_its_time_whatever_comes(groups: Groups) -> None:
    groups.add("a")
    groups.buffer.groups.ignore("a", NOW_MS + 100, "ann", NOW_MS)
    groups.add("a", at_ms=NOW_MS + 50)
    row = groups.of("a", NOW_MS + 99).row
    assert (row["state"], row["until_ms"]) == ("ignored", NOW_MS + 100)
    row = groups.of("a", NOW_MS + 100).row
    assert (row["state"], row["until_ms"]) == ("ongoing", None)


def test_a_group_escalates_at_ten_times_its_usual_hourly_rate_and_not_before(groups: Groups) -> None:
    hours, usual = LEAST_USUAL_HOURS + 6, 3
    begin_ms = NOW_MS - NOW_MS % HOUR_MS
    for hour in range(hours):
        groups.add("a", usual, at_ms=begin_ms + hour * HOUR_MS)
    now_ms = begin_ms + (hours + 1) * HOUR_MS
    groups.add("a", 10 * usual - 1, at_ms=now_ms)
    assert groups.state("a", now_ms) == "ongoing"
    groups.add("a", at_ms=now_ms)
    assert groups.state("a", now_ms) == "escalating"
    # The hour after still, and then no more.
    assert groups.state("a", now_ms + HOUR_MS) == "escalating"
    assert groups.state("a", now_ms + 2 * HOUR_MS) == "ongoing"
    told = groups.buffer.groups.told_of(("escalating",), now_ms, 5)
    assert [(each.fingerprint, each.last_hour) for each in told] == [("a", 10 * usual)]


def test_a_rare_group_escalates_only_with_some_dead_letters_an_hour_and_with_a_day_behind_it(groups: Groups) -> None:
    begin_ms = NOW_MS - NOW_MS % HOUR_MS
    groups.add("a", at_ms=begin_ms)
    early_ms, late_ms = begin_ms + LEAST_USUAL_HOURS * HOUR_MS, begin_ms + (LEAST_USUAL_HOURS + 2) * HOUR_MS
    groups.add("b", at_ms=early_ms)
    groups.add("a", LEAST_ESCALATING, at_ms=early_ms)
    assert groups.state("a", early_ms) == "ongoing"
    groups.add("b", LEAST_ESCALATING, at_ms=late_ms)
    groups.add("a", LEAST_ESCALATING - 1, at_ms=late_ms)
    assert groups.state("a", late_ms) == "ongoing"
    groups.add("a", LEAST_ESCALATING, at_ms=late_ms)
    assert (groups.state("a", late_ms), groups.state("b", late_ms)) == ("escalating", "new")


def test_a_group_whose_dead_letters_are_all_pruned_is_known_when_it_comes_back(groups: Groups) -> None:
    from pipeline.buffer import Retention

    groups.add("a")
    groups.buffer.dead_letters.triage([1], "discarded", NOW_MS)
    groups.buffer.groups.resolve("a", "ann", NOW_MS)
    groups.buffer.upkeep.prune(Retention(dead_letters_before_ms=NOW_MS + 1))
    assert groups.totals() == {}
    groups.add("a", at_ms=NOW_MS + 9)
    assert groups.state("a") == "regressed"
    assert recount(groups.path) == []


def test_groups_to_look_at_are_listed_first_and_settled_ones_last(groups: Groups) -> None:
    for name, count in (("resolved", 9), ("ignored", 8), ("new", 1), ("newer", 2), ("known", 5), ("back", 1)):
        groups.add(name, count)
    groups.buffer.groups.resolve("resolved", "ann", NOW_MS)
    groups.buffer.groups.ignore("ignored", NOW_MS + 9, "ann", NOW_MS)
    groups.buffer.groups.reopen("known", "ann", NOW_MS)
    groups.buffer.groups.resolve("back", "ann", NOW_MS)
    groups.add("back", 3)
    with Reader(groups.path) as reader:
        listed = reader.groups(NOW_MS).column("fingerprint")
        assert listed == ["newer", "new", "back", "known", "resolved", "ignored"]
        assert reader.groups(NOW_MS, ["new", "ignored"]).column("fingerprint") == ["newer", "new", "ignored"]


def test_an_unknown_group_is_refused_and_nothing_is_written(groups: Groups) -> None:
    groups.add("a")
    with pytest.raises(UsageError, match="there is no group b"):
        groups.buffer.groups.resolve("b", "ann", NOW_MS)
    with pytest.raises(UsageError, match="there is no group b"):
        groups.buffer.groups.merge("a", ["b"], "ann", NOW_MS)
    assert groups.of("a").merged == ()


# -- merges


def test_merged_groups_are_one_in_all_that_is_shown_and_for_dead_letters_to_come(groups: Groups) -> None:
    groups.add("a", 2, at_ms=NOW_MS, key=b"1")
    groups.add("b", 3, at_ms=NOW_MS + HOUR_MS, key=b"2")
    groups.add("c", 1, at_ms=NOW_MS)
    groups.buffer.groups.merge("a", ["b"], "ann", NOW_MS + 5)
    groups.add("b", 1, at_ms=NOW_MS + HOUR_MS, key=b"3")
    assert groups.totals() == {"a": 6, "c": 1}
    found = groups.of("b", NOW_MS + HOUR_MS)
    assert found == groups.of("a", NOW_MS + HOUR_MS)
    assert (found.row["title"], found.row["last_seen_ms"]) == ("title of a", NOW_MS + HOUR_MS)
    assert (found.row["fingerprints"], sum(found.row["chart"]), found.spread.keys) == (2, 6, 3)
    assert [(each.fingerprint, each.total, each.merged_by) for each in found.merged] == [("b", 4, "ann")]
    groups.buffer.groups.unmerge("b", NOW_MS)
    assert groups.totals() == {"a": 2, "b": 4, "c": 1}


def test_the_state_of_merged_groups_is_what_was_said_last_and_what_has_failed_since(groups: Groups) -> None:
    groups.add("a")
    groups.add("b", at_ms=NOW_MS + 20)
    groups.buffer.groups.resolve("a", "ann", NOW_MS + 10)
    groups.buffer.groups.merge("a", ["b"], "ann", NOW_MS + 30)
    row = groups.of("b").row
    assert (row["state"], row["regressed_at_ms"]) == ("regressed", NOW_MS + 20)
    groups.buffer.groups.resolve("b", "ben", NOW_MS + 40)
    assert groups.of("a").row["said_by"] == "ben"
    groups.add("b", at_ms=NOW_MS + 50)
    assert groups.state("a") == "regressed"
    # On its own again it is what it was before.
    groups.buffer.groups.unmerge("b", NOW_MS + 60)
    assert (groups.state("a"), groups.state("b")) == ("regressed", "new")


def test_a_group_of_several_can_be_merged_and_each_of_them_taken_out(groups: Groups) -> None:
    for name in "abcd":
        groups.add(name)
    groups.buffer.groups.merge("a", ["b"], "ann", NOW_MS)
    groups.buffer.groups.merge("c", ["d"], "ann", NOW_MS)
    groups.buffer.groups.merge("d", ["b"], "ann", NOW_MS)
    assert groups.totals() == {"c": 4}
    with pytest.raises(UsageError, match="one group already"):
        groups.buffer.groups.merge("a", ["d"], "ann", NOW_MS)
    groups.buffer.groups.unmerge("b", NOW_MS)
    assert groups.totals() == {"c": 3, "b": 1}
    with pytest.raises(UsageError, match="merged into no other group"):
        groups.buffer.groups.unmerge("c", NOW_MS)


# -- splits


def test_a_split_takes_what_matches_out_of_its_group_also_what_is_to_come_and_can_be_taken_back(groups: Groups) -> None:
    many = LETTERS_AT_ONCE + 20
    groups.add("a", many, reason="no stock of TEA")
    groups.add("a", 3, reason="no stock of mugs")
    groups.add("b", 2, reason="no stock of tea")
    number = groups.buffer.groups.split("a", "reason", "Tea", "ann", NOW_MS)
    groups.add("a", 2, reason="no stock of tea, again")
    assert max(groups.settle()) == LETTERS_AT_ONCE
    (name,) = groups.totals().keys() - {"a", "b"}
    assert groups.totals() == {"a": 3, "b": 2, name: many + 2}
    assert groups.of(name).row["title"] == "title of a (reason contains Tea)"
    assert [each.rule for each in groups.of("a").splits] == ["reason contains Tea"]
    assert recount(groups.path) == []
    groups.buffer.groups.unsplit(number, NOW_MS)
    groups.settle()
    groups.add("a", 1, reason="no stock of tea, and again")
    assert groups.totals() == {"a": many + 6, "b": 2}
    assert groups.of("a").row["title"] == "title of a"
    assert recount(groups.path) == []


@pytest.mark.parametrize(
    ("field", "value", "fields"),
    [
        ("error_class", "Late", {"error_class": "Late"}),
        ("topic", "other-dlq", {"topic": "other-dlq"}),
        ("source_topic", "shop", {"source_topic": "shop"}),
        ("stacktrace", "Billing.charge", {"stacktrace": "at com.shop.Billing.charge(Billing.java:7)"}),
        (
            "stacktrace",
            "Billing.charge",
            {"stacktrace": "at com.shop.Billing.charge(Billing.java:7)" + "\n\tat x" * 90},
        ),
    ],
)
def test_a_group_can_be_split_by(groups: Groups, field: Any, value: str, fields: dict[str, Any]) -> None:
    groups.add("a", 2)
    groups.add("a", 3, **fields)
    groups.buffer.groups.split("a", field, value, "ann", NOW_MS)
    groups.settle()
    groups.add("a", 1, **fields)
    assert sorted(groups.totals().values()) == [2, 4]


def test_a_split_begins_with_the_state_of_its_group_and_has_one_of_its_own_from_then_on(groups: Groups) -> None:
    groups.add("a", reason="tea")
    groups.add("a", reason="mug")
    groups.buffer.groups.resolve("a", "ann", NOW_MS)
    groups.buffer.groups.split("a", "reason", "tea", "ann", NOW_MS)
    groups.settle()
    (name,) = groups.totals().keys() - {"a"}
    assert (groups.state("a"), groups.state(name)) == ("resolved", "resolved")
    groups.add("a", reason="tea")
    assert (groups.state("a"), groups.state(name)) == ("resolved", "regressed")


def test_a_group_that_a_split_makes_is_a_group_like_any_other(groups: Groups) -> None:
    groups.add("a", 2, reason="green tea")
    groups.add("a", 3, reason="black tea")
    groups.add("a", 4, reason="mug")
    outer = groups.buffer.groups.split("a", "reason", "tea", "ann", NOW_MS)
    groups.settle()
    (tea,) = groups.totals().keys() - {"a"}
    inner = groups.buffer.groups.split(tea, "reason", "green", "ann", NOW_MS)
    groups.settle()
    assert sorted(groups.totals().values()) == [2, 3, 4]
    with pytest.raises(UsageError, match=f"take back split {inner} first"):
        groups.buffer.groups.unsplit(outer, NOW_MS)
    groups.buffer.groups.unsplit(inner, NOW_MS)
    groups.buffer.groups.unsplit(outer, NOW_MS)
    groups.settle()
    assert groups.totals() == {"a": 9}
    assert recount(groups.path) == []


def test_rules_of_merged_groups_hold_for_all_of_them_until_they_are_apart_again(groups: Groups) -> None:
    groups.add("a", 1, reason="tea")
    groups.add("b", 2, reason="tea")
    groups.add("b", 3, reason="mug")
    groups.buffer.groups.split("a", "reason", "tea", "ann", NOW_MS)
    groups.settle()
    (tea,) = groups.totals().keys() - {"a", "b"}
    groups.buffer.groups.merge("a", ["b"], "ann", NOW_MS)
    groups.add("b", 1, reason="tea")
    groups.settle()
    assert groups.totals() == {"a": 3, tea: 4}
    groups.buffer.groups.unmerge("b", NOW_MS)
    groups.settle()
    assert groups.totals() == {tea: 1, "b": 6}
    assert recount(groups.path) == []


def test_the_same_split_twice_and_one_that_is_not_there_are_refused(groups: Groups) -> None:
    groups.add("a")
    groups.buffer.groups.split("a", "reason", "tea", "ann", NOW_MS)
    with pytest.raises(UsageError, match="split so already"):
        groups.buffer.groups.split("a", "reason", "tea", "ben", NOW_MS)
    with pytest.raises(UsageError, match="there is no split 7"):
        groups.buffer.groups.unsplit(7, NOW_MS)


# -- what a group shows


def test_notes_stay_in_their_order_with_who_wrote_them_and_a_second_click_adds_none(groups: Groups) -> None:
    groups.add("a")
    groups.add("b")
    groups.buffer.groups.note("a", "since the deploy", "ann", NOW_MS)
    groups.buffer.groups.note("a", "since the deploy", "ann", NOW_MS)
    groups.buffer.groups.note("b", "the same", "ben", NOW_MS + 1)
    groups.buffer.groups.merge("a", ["b"], "ann", NOW_MS + 2)
    groups.buffer.groups.note("b", "fixed in 4.2", "ann", NOW_MS + 3)
    assert [tuple(each) for each in groups.of("a").notes] == [
        ("since the deploy", "ann", NOW_MS),
        ("the same", "ben", NOW_MS + 1),
        ("fixed in 4.2", "ann", NOW_MS + 3),
    ]


def test_keys_partitions_and_topics_of_the_newest_are_told_and_how_many_were_looked_at(
    groups: Groups, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(4):
        groups.add("a", key=b"%d" % (index % 2), source_partition=index // 3)
    groups.add("a", key=None, source_topic=None)
    spread = groups.of("a").spread
    assert (spread.looked_at, spread.is_exact, spread.keys) == (5, True, 2)
    assert (spread.sources, spread.topics) == ((("orders[0]", 3), ("orders[1]", 1)), (("orders-dlq", 5),))


def test_the_chart_is_of_the_last_week_and_of_the_time_of_the_failures(groups: Groups) -> None:
    hour_ms = NOW_MS - NOW_MS % HOUR_MS
    groups.add("a", 2, at_ms=hour_ms)
    groups.add("a", 3, at_ms=hour_ms, failed_at_ms=hour_ms - 6 * HOUR_MS)
    groups.add("a", 4, at_ms=hour_ms, failed_at_ms=hour_ms - 30 * 24 * HOUR_MS)
    # A clock that is ahead.
    groups.add("a", 5, at_ms=hour_ms, failed_at_ms=hour_ms + 30 * 24 * HOUR_MS)
    chart = groups.of("a", hour_ms).row["chart"]
    assert (len(chart), chart[-2:], sum(chart)) == (28, [3, 7], 10)


def test_hours_that_are_over_are_dropped_and_counted_no_more(groups: Groups) -> None:
    hour_ms = NOW_MS - NOW_MS % HOUR_MS
    for back in range(5):
        groups.add("a", at_ms=hour_ms, failed_at_ms=hour_ms - back * HOUR_MS)
    assert groups.buffer.groups.prune_hours(hour_ms - 2 * HOUR_MS + 5) == 2
    assert groups.buffer.groups.prune_hours(hour_ms - 2 * HOUR_MS + 5) == 0
    groups.add("a", at_ms=hour_ms, failed_at_ms=hour_ms - 4 * HOUR_MS)
    assert sum(groups.of("a", hour_ms).row["chart"]) == 3
    assert recount(groups.path) == []
