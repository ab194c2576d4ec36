"""Groups as people see them: their figures, and how each stands at a moment.

What was said of a group is stored; whether it is new or escalating is worked out when somebody asks. No dead letter is
looked at, but for what one group's newest have in common.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pipeline.buffer.group_contract import (
    ESCALATING_TIMES,
    HOUR_MS,
    LEAST_ESCALATING,
    LEAST_USUAL_HOURS,
    NEW_FOR_MS,
    USUAL_HOURS,
    GroupState,
    GroupTold,
)
from pipeline.buffer.sqlite.groups.hours import hour_of
from pipeline.buffer.sqlite.groups.merges import GROUP_OF
from pipeline.buffer.sqlite.groups.splits import RULES, Rule
from pipeline.buffer.sqlite.rows import RowsOf
from pipeline.buffer.views import GroupDetail, GroupNote, GroupSplit, MergedFingerprint, Rows, Spread

CHART_HOURS = 6
CHART_POINTS = 28
"""The chart of a group: a week, by six hours."""
NEWEST = 5_000
"""Of so many of its newest dead letters a group's keys and partitions are told."""
SPREAD_VALUES = 20

Ask = Callable[[str, Mapping[str, object]], Rows]
"""Runs a query that only reads."""

_GROUP = "coalesce(merged_into, fingerprint)"
_OWN = "coalesce(max({0}) FILTER (WHERE merged_into IS NULL), max({0})) AS {0}"
_FINGERPRINTS = (
    "(SELECT {0} UNION ALL SELECT merges.fingerprint FROM group_merges AS merges WHERE merges.merged_into = {0})"
)
# What had failed before we met a group tells nothing of its usual rate. The hour that runs counts together with the one
# before: right after the hour nothing would escalate.
_GROUPS = f"""
WITH groups AS MATERIALIZED (
    SELECT {_GROUP} AS fingerprint, {", ".join(map(_OWN.format, ("title", "error_class", "source_topic")))},
           sum(total) AS total, sum(open) AS open, min(first_seen_ms) AS first_seen_ms,
           max(last_seen_ms) AS last_seen_ms, count(*) AS fingerprints,
           iif(count(*) = count(new_since_ms), min(new_since_ms), NULL) AS new_since_ms
    FROM dead_letter_groups LEFT JOIN group_merges USING (fingerprint) WHERE total > 0 GROUP BY 1
), recent AS MATERIALIZED (
    SELECT fingerprint, max(dead_letters) AS dead_letters FROM (
        SELECT {_GROUP} AS fingerprint, sum(dead_letters) AS dead_letters
        FROM group_hours LEFT JOIN group_merges USING (fingerprint)
        WHERE hour_ms BETWEEN :hour_ms - {HOUR_MS} AND :hour_ms GROUP BY 1, hour_ms
    ) GROUP BY fingerprint
), rates AS (
    SELECT fingerprint, dead_letters,
           (:hour_ms - {HOUR_MS} - max(:hour_ms - {(USUAL_HOURS + 1) * HOUR_MS},
                                       first_seen_ms / {HOUR_MS} * {HOUR_MS}, from_ms,
                                       coalesce(new_since_ms / {HOUR_MS} * {HOUR_MS}, 0))) / {HOUR_MS} AS hours
    FROM recent JOIN groups USING (fingerprint), group_hours_counted WHERE dead_letters >= {LEAST_ESCALATING}
), escalating AS MATERIALIZED (
    SELECT fingerprint FROM rates WHERE hours >= {LEAST_USUAL_HOURS} AND dead_letters * hours >= {ESCALATING_TIMES} * (
        SELECT coalesce(sum(before.dead_letters), 0) FROM group_hours AS before
        WHERE before.fingerprint IN {_FINGERPRINTS.format("rates.fingerprint")}
          AND before.hour_ms BETWEEN :hour_ms - {(USUAL_HOURS + 1) * HOUR_MS} AND :hour_ms - {2 * HOUR_MS})
), standing AS (
    SELECT groups.*, coalesce(recent.dead_letters, 0) AS last_hour, said_by, said_at_ms, regressed_at_ms,
           iif(said = 'ignored' AND until_ms > :now_ms, until_ms, NULL) AS until_ms,
           CASE WHEN said = 'resolved' AND regressed_at_ms IS NULL THEN 'resolved'
                WHEN said = 'ignored' AND until_ms > :now_ms THEN 'ignored'
                WHEN regressed_at_ms IS NOT NULL THEN 'regressed'
                WHEN fingerprint IN (SELECT fingerprint FROM escalating) THEN 'escalating'
                WHEN said IS NULL AND new_since_ms > :now_ms - {NEW_FOR_MS} THEN 'new'
                ELSE 'ongoing' END AS state
    FROM groups LEFT JOIN group_states USING (fingerprint) LEFT JOIN recent USING (fingerprint)
)
SELECT fingerprint, title, error_class, source_topic, total, open, first_seen_ms, last_seen_ms, state, last_hour,
       fingerprints, said_by, said_at_ms, until_ms, regressed_at_ms
FROM standing
WHERE (:states IS NULL OR state IN (SELECT value FROM json_each(:states)))
  AND (NOT :open_only OR open > 0)
  AND (:only IS NULL OR fingerprint = {GROUP_OF.format(":only")})
ORDER BY CASE state WHEN 'new' THEN 0 WHEN 'regressed' THEN 1 WHEN 'escalating' THEN 2 WHEN 'ongoing' THEN 3 ELSE 4 END,
         open DESC, last_seen_ms DESC LIMIT :limit
"""
_CHART = f"""
WITH shown (fingerprint) AS (SELECT value FROM json_each(:shown)), members AS (
    SELECT fingerprint AS shown, fingerprint FROM shown
    UNION ALL SELECT merged_into, fingerprint FROM group_merges WHERE merged_into IN (SELECT fingerprint FROM shown)
), points AS (
    SELECT shown, (hour_ms - :from_ms) / {CHART_HOURS * HOUR_MS} AS point, sum(dead_letters) AS dead_letters
    FROM members CROSS JOIN group_hours USING (fingerprint)
    WHERE hour_ms >= :from_ms AND hour_ms <= :hour_ms GROUP BY 1, 2
)
SELECT shown, json_group_array(json_array(point, dead_letters)) FROM points GROUP BY shown
"""
_TOLD = RowsOf(GroupTold)
_SPREAD = f"""
WITH newest AS MATERIALIZED (
    SELECT key, source_topic, source_partition, topic FROM dead_letters WHERE id IN (
        SELECT id FROM dead_letter_rows WHERE fingerprint IN (SELECT value FROM json_each(:fingerprints))
        ORDER BY id DESC LIMIT {NEWEST})
)
SELECT 'looked at', count(*), NULL FROM newest
UNION ALL SELECT 'keys', count(DISTINCT key), NULL FROM newest
UNION ALL SELECT * FROM (SELECT 'topics', count(*), topic FROM newest WHERE topic IS NOT NULL
                         GROUP BY topic ORDER BY 2 DESC LIMIT {SPREAD_VALUES})
UNION ALL SELECT * FROM (SELECT 'sources', count(*), source_topic || iif(source_partition IS NULL, '',
                                                                       '[' || source_partition || ']')
                         FROM newest WHERE source_topic IS NOT NULL GROUP BY 3 ORDER BY 2 DESC LIMIT {SPREAD_VALUES})
"""


def groups(
    ask: Ask,
    now_ms: int,
    states: Collection[GroupState] | None = None,
    open_only: bool = False,
    limit: int = 200,
    only: str | None = None,
) -> Rows:
    """Groups with their state at `now_ms` and, last, the points of their chart, oldest first.

    Before a group that everybody knows come those that somebody is to look at, however few dead letters they have.
    """
    rows = ask(_GROUPS, _arguments(now_ms, states, open_only, limit, only))
    hour_ms = hour_of(now_ms)
    from_ms = hour_ms - (CHART_POINTS * CHART_HOURS - 1) * HOUR_MS
    shown = json.dumps(rows.column("fingerprint"))
    charts = dict(ask(_CHART, {"shown": shown, "from_ms": from_ms, "hour_ms": hour_ms}).rows)
    points = [_points(charts.get(row[0], "[]")) for row in rows.rows]
    axis = (from_ms, CHART_HOURS * HOUR_MS)
    with_charts = [(*row, chart, *axis) for row, chart in zip(rows.rows, points, strict=True)]
    return Rows((*rows.columns, "chart", "chart_from_ms", "chart_step_ms"), with_charts, rows.cut)


def group(ask: Ask, fingerprint: str, now_ms: int) -> GroupDetail | None:
    """All there is of the group that one of its fingerprints names."""
    found = groups(ask, now_ms, only=fingerprint, limit=1).dicts()
    if not found:
        return None
    name = found[0]["fingerprint"]
    merged = ask(
        "SELECT fingerprint, coalesce(title, ''), coalesce(total, 0), merged_by, merged_at_ms "
        "FROM group_merges LEFT JOIN dead_letter_groups USING (fingerprint) WHERE merged_into = :name ORDER BY 4, 1",
        {"name": name},
    )
    fingerprints = json.dumps([name, *merged.column("fingerprint")])
    these = {"fingerprints": fingerprints}
    of_these = "WHERE fingerprint IN (SELECT value FROM json_each(:fingerprints)) ORDER BY id"
    notes = ask(f"SELECT note, written_by, written_at_ms FROM group_notes {of_these}", these)
    rules = RULES.read_all(ask(f"SELECT {RULES.sql} FROM group_splits ORDER BY id", {}).rows)
    versions = ask("SELECT DISTINCT fingerprint_version FROM dead_letter_groups", {}).column("fingerprint_version")
    members = {name, *merged.column("fingerprint")}
    left = ask("SELECT count(*) FROM group_moves", {}).rows[0][0]
    return GroupDetail(
        found[0],
        tuple(MergedFingerprint(*row) for row in merged.rows),
        tuple(GroupNote(*row) for row in notes.rows),
        tuple(_split(rule) for rule in rules if rule.fingerprint in members),
        tuple(_split(rule) for rule in rules if members & {rule.name(version) for version in versions}),
        _spread(ask(_SPREAD, these), found[0]["total"]),
        left > 0,
    )


def _split(rule: Rule) -> GroupSplit:
    return GroupSplit(rule.id, rule.fingerprint, str(rule), rule.split_by, rule.split_at_ms)


def told_of(connection: sqlite3.Connection, states: Collection[GroupState], now_ms: int, most: int) -> list[GroupTold]:
    """Groups in one of these states, those with the most open dead letters first."""
    sql = f"SELECT {_TOLD.sql} FROM ({_GROUPS})"
    return _TOLD.read_all(connection.execute(sql, _arguments(now_ms, states, False, most, None)))


def _arguments(
    now_ms: int, states: Collection[GroupState] | None, open_only: bool, limit: int, only: str | None
) -> dict[str, object]:
    return {
        "now_ms": now_ms,
        "hour_ms": hour_of(now_ms),
        "states": None if states is None else json.dumps(list(states)),
        "open_only": open_only,
        "limit": limit,
        "only": only,
    }


def _points(chart: str) -> list[int]:
    points = [0] * CHART_POINTS
    for point, dead_letters in json.loads(chart):
        points[point] = dead_letters
    return points


def _spread(rows: Rows, total: int) -> Spread:
    counts: dict[str, list[tuple[Any, int]]] = {}
    for kind, count, value in rows.rows:
        counts.setdefault(kind, []).append((value, count))
    looked_at, keys = counts["looked at"][0][1], counts["keys"][0][1]
    return Spread(
        looked_at, looked_at >= total, keys, tuple(counts.get("sources", ())), tuple(counts.get("topics", ()))
    )
