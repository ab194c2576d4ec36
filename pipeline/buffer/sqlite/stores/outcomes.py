"""What became of replays, in the ledger and in the dead letters, as the processor, a dead-letter topic or people say.

A record that several dead letters of a job hold is sent once: a trigger gives its state to the items of the others
(`sent_with`), and the functions here set all of their dead letters.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from pipeline.buffer.contract import ReplayOutcome

Outcome = Literal["recovered", "dead_again"]


class _Settled(NamedTuple):
    """An item of the ledger whose outcome is known now."""

    dead_letter_id: int
    job_id: int
    sent_for: int


_SETTLED = ", ".join(_Settled._fields)
_SENDER = (
    "item.job_id AS in_job, coalesce((SELECT one.dead_letter_id FROM job_items AS one "
    "WHERE one.job_id = item.job_id AND one.dead_letter_id = item.sent_with), item.dead_letter_id) AS sender"
)
"""The item whose record was sent, for `item`: its own, unless it was sent with another that is still there."""


def note_outcomes(connection: sqlite3.Connection, outcomes: Iterable[ReplayOutcome], now_ms: int) -> None:
    """Sets items of the ledger and their dead letters to what became of them; an unknown replay has none.

    What failed again stays so, whoever else took it: its dead letter is there.
    """
    # No id of ours has a NUL, so what has one is another's.
    states = {each.replay_id: each.state for each in outcomes if "\0" not in each.replay_id}
    rows = connection.execute(
        "UPDATE job_items SET state = value FROM json_each(?) WHERE replay_id = key AND state <> 'dead_again' "
        f"RETURNING replay_id, {_SETTLED}",
        (json.dumps(states),),
    )
    settled = {replay_id: _Settled(*item) for replay_id, *item in rows}
    # Of several replays of a dead letter the last one counts.
    found: dict[int, Outcome] = {}
    for replay_id, state in states.items():
        if replay_id in settled:
            found |= dict.fromkeys(_sent_together(connection, settled[replay_id]), state)
    set_outcomes(connection, found, now_ms)


def note_failed_replays(connection: sqlite3.Connection, failed: Sequence[tuple[int, str | None]], now_ms: int) -> None:
    """Whoever failed them told nobody but the dead-letter topic: an application of its own, or we before a crash.

    `failed`: dead letters that failed again, and in which replay: that one is dead again, even if it was taken for
    recovered. Without a replay's id, whatever was sent and has no outcome is meant.
    """
    # No id of ours has a NUL, so what has one is another's.
    told = json.dumps([each for each in failed if "\0" not in (each[1] or "")])
    rows = connection.execute(
        f"UPDATE job_items SET state = 'dead_again' FROM (SELECT {_SENDER} FROM json_each(?) JOIN job_items AS item "
        "ON item.dead_letter_id = value ->> 0 AND item.replay_id = coalesce(value ->> 1, item.replay_id) "
        "WHERE item.state IN ('sending', 'sent') OR item.state = 'recovered' AND value ->> 1 IS NOT NULL) "
        f"WHERE job_id = in_job AND dead_letter_id = sender RETURNING {_SETTLED}",
        (told,),
    ).fetchall()
    settled = {each for row in rows for each in _sent_together(connection, _Settled(*row))}
    set_outcomes(connection, dict.fromkeys(settled, "dead_again"), now_ms)


def set_outcomes(connection: sqlite3.Connection, states: dict[int, Outcome], now_ms: int) -> None:
    """Sets dead letters to what became of their replays; one that is on its way again takes it as what to go back to.

    `states` has them by the dead letter's id.
    """
    again = connection.execute(
        "UPDATE job_items SET status_before = value FROM json_each(?) "
        "WHERE dead_letter_id = CAST(key AS INTEGER) AND state IN ('planned', 'sending') RETURNING dead_letter_id",
        (json.dumps(states),),
    ).fetchall()
    settled = states.keys() - {dead_letter for (dead_letter,) in again}
    connection.execute(
        "UPDATE dead_letter_rows SET status = outcome.value, status_at_ms = ?, concluded = 0 "
        "FROM json_each(?) AS outcome WHERE dead_letter_rows.id = CAST(outcome.key AS INTEGER)",
        (now_ms, json.dumps({dead_letter: states[dead_letter] for dead_letter in settled})),
    )


def conclude(connection: sqlite3.Connection, dead_letter_ids: Sequence[int], now_ms: int) -> int:
    """Takes those of these dead letters that are replayed for recovered, though nobody proved it; returns how many.

    Those whose record was sent with theirs are recovered with them.
    """
    rows = connection.execute(
        f"UPDATE job_items SET state = 'recovered' FROM (SELECT DISTINCT {_SENDER} FROM job_items AS item "
        "JOIN dead_letter_rows ON dead_letter_rows.id = item.dead_letter_id "
        # The plus keeps SQLite from going through all that are replayed.
        "WHERE item.state = 'sent' AND +status = 'replayed' "
        "AND item.dead_letter_id IN (SELECT value FROM json_each(?))) "
        f"WHERE job_id = in_job AND dead_letter_id = sender RETURNING {_SETTLED}",
        (json.dumps(list(dead_letter_ids)),),
    ).fetchall()
    settled = {each for row in rows for each in _sent_together(connection, _Settled(*row))}
    those = json.dumps(list(settled))
    # One that is on its way again goes back to this, should it not be sent.
    connection.execute(
        "UPDATE job_items SET status_before = 'recovered' WHERE dead_letter_id IN (SELECT value FROM json_each(?)) "
        "AND state IN ('planned', 'sending') AND status_before = 'replayed'",
        (those,),
    )
    return connection.execute(
        "UPDATE dead_letter_rows SET status = 'recovered', status_at_ms = ?, concluded = 1 "
        "WHERE id IN (SELECT value FROM json_each(?)) AND +status = 'replayed'",
        (now_ms, those),
    ).rowcount


def _sent_together(connection: sqlite3.Connection, item: _Settled) -> list[int]:
    """The dead letters whose record was sent with this one's, and this one."""
    if item.sent_for == 1:
        return [item.dead_letter_id]
    others = connection.execute(
        "SELECT dead_letter_id FROM job_items WHERE job_id = ? AND sent_with = ? AND sent_with IS NOT NULL",
        (item.job_id, item.dead_letter_id),
    ).fetchall()
    return [item.dead_letter_id, *(dead_letter for (dead_letter,) in others)]
