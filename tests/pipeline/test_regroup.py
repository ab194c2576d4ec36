"""Regrouping on a pipeline that runs: the collector goes on meanwhile, and every figure is true in the end."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

from pipeline.buffer import recount
from pipeline.settings import PROJECT_DIR
from scripts.waiting import wait_for
from tests.support.running_pipeline import RunningPipeline

BEFORE, MEANWHILE = 3000, 1500
# As a rule before would have left it: a group for each letter or two.
AN_OLDER_RULE = """
UPDATE dead_letter_rows SET fingerprint = 'old-' || (id / 2);
DELETE FROM dead_letter_groups;
INSERT INTO dead_letter_groups (fingerprint, title, total, open, first_seen_ms, last_seen_ms, fingerprint_version)
SELECT fingerprint, reason, count(*), sum(status = 'open'), min(failed_at_ms), max(failed_at_ms), 1
FROM dead_letter_rows GROUP BY fingerprint;
"""


def letters(first: int, count: int) -> list[tuple[bytes, bytes, tuple[tuple[str, bytes], ...]]]:
    """Of two causes."""
    return [
        (
            b"key",
            b"value",
            (
                ("kafka_dlt-original-topic", b"payments"),
                ("kafka_dlt-original-partition", (0).to_bytes(4, "big")),
                ("kafka_dlt-original-offset", number.to_bytes(8, "big")),
                ("kafka_dlt-exception-fqcn", b"com.acme.PaymentException"),
                ("kafka_dlt-exception-message", f"{('no account', 'no funds')[number % 2]} of ACC-{number}".encode()),
            ),
        )
        for number in range(first, first + count)
    ]


def groups(pipeline: RunningPipeline) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(pipeline.settings.database_file)) as connection:
        return connection.execute("SELECT title, total FROM dead_letter_groups ORDER BY title").fetchall()


def collected(pipeline: RunningPipeline) -> int:
    with pipeline.reader() as reader:
        return reader.totals().dead_letters


def test_letters_are_regrouped_while_others_are_collected(pipeline: RunningPipeline) -> None:
    pipeline.send(*letters(0, BEFORE), topic=pipeline.settings.own_dlq_topic)
    wait_for("all collected", lambda: collected(pipeline) == BEFORE)
    with closing(sqlite3.connect(pipeline.settings.database_file, timeout=10)) as connection:
        connection.executescript(f"BEGIN IMMEDIATE; {AN_OLDER_RULE} COMMIT;")
    assert len(groups(pipeline)) > BEFORE / 3

    command = [sys.executable, "-m", "pipeline", "regroup"]
    regrouping = subprocess.Popen(command, cwd=PROJECT_DIR, env=pipeline.environment, stderr=subprocess.PIPE, text=True)
    pipeline.send(*letters(BEFORE, MEANWHILE), topic=pipeline.settings.own_dlq_topic)
    told = regrouping.communicate(timeout=60)[1]
    assert (regrouping.returncode, told) == (0, f"{BEFORE:,} dead letters are grouped by the newest rule\n")
    wait_for("the others collected", lambda: collected(pipeline) == BEFORE + MEANWHILE)

    of_each = (BEFORE + MEANWHILE) // 2
    assert groups(pipeline) == [("no account of <value>", of_each), ("no funds of <value>", of_each)]
    assert recount(pipeline.settings.database_file) == []
