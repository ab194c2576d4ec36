"""What `mapping propose` and `mapping try` do: a section of the mapping file, from the newest records of a topic."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.jobs.topic_examiner import TopicExaminer
from pipeline.kafka import check_kafka_config
from pipeline.orders.fields import ORDER_FIELDS
from pipeline.orders.proposing.sample import Sample
from pipeline.orders.proposing.trial import Trial
from pipeline.records import Record
from pipeline.roles import topic_examiner
from pipeline.settings import Settings


def run_mapping(settings: Settings, options: argparse.Namespace) -> int:
    """Proposes a section of the mapping file, or tries one, on the newest records of a topic."""
    check_kafka_config(settings)
    examiner = topic_examiner(settings)
    newest = examiner.sample(options.topic)
    if newest.cut:
        print(f"{options.topic}: {len(newest.records):,} records looked at; {newest.cut}", file=sys.stderr)
    return _MAPPING_ACTIONS[options.action](examiner, newest.records, options)


def _propose_mapping(examiner: TopicExaminer, records: list[Record], options: argparse.Namespace) -> int:
    sample = examiner.look_through(options.topic, records)
    if not sample.read:
        raise UsageError(_nothing_readable(sample))
    proposal = examiner.propose(sample)
    print(proposal.text, end="")
    trial = examiner.try_text(options.topic, records, proposal.text)
    print(f"{options.topic}: {trial_in_words(trial)}", file=sys.stderr)
    for key in proposal.open_keys:
        print(f"{options.topic}: {key} could not be guessed; say where it comes from", file=sys.stderr)
    return 0


def _nothing_readable(sample: Sample) -> str:
    if not sample.reasons:
        return f"topic {sample.topic}: all {len(sample.records):,} records are deletions (null)"
    (reason, count), *others = sample.reasons
    more = f", and {len(others)} other reasons" if others else ""
    return f"topic {sample.topic}: none of {len(sample.records):,} records can be read: {reason} ({count:,}){more}"


def _try_mapping(examiner: TopicExaminer, records: list[Record], options: argparse.Namespace) -> int:
    path = Path(options.file) if options.file else None
    trial, has_section = examiner.try_file(options.topic, records, path)
    if not has_section:
        print(f"{options.topic} has no section: tried as `Order` of the schemas folder", file=sys.stderr)
    for line in trial_lines(trial):
        print(line)
    if not trial.accepted:
        raise UsageError(f"topic {options.topic}: {trial_in_words(trial)}")
    return 0


_MAPPING_ACTIONS: dict[str, Callable[[TopicExaminer, list[Record], argparse.Namespace], int]] = {
    "propose": _propose_mapping,
    "try": _try_mapping,
}


def trial_in_words(trial: Trial) -> str:
    """What would come of a sample, in one line."""
    return (
        f"of {trial.records:,} records {trial.accepted:,} would be accepted, {trial.passed_over:,} passed over, "
        f"{trial.refused:,} dead letters"
    )


def trial_lines(trial: Trial) -> list[str]:
    """The first orders as a table, then how many records would become what, and why."""
    names = [each.avro_name for each in ORDER_FIELDS]
    table = [names, *([_one_line(row[name]) for name in names] for row in trial.rows)] if trial.rows else []
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return [*lines, trial_in_words(trial), *(f"{count:>7,}  {_one_line(reason)}" for count, reason in trial.reasons)]


def _one_line(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]
