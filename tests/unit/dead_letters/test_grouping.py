"""The recorded failures are whole, and what measures groups against their causes counts pairs as one would by hand."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import astuple
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.headers.causes import innermost_cause
from pipeline.settings import PROJECT_DIR
from tests.support.failures import SEEN, UNSEEN, Failed, dead_letter, failures
from tests.support.grouping import Agreement, agreement

PROGRAMS = PROJECT_DIR / "tests" / "writers" / "failures"
SIZE_LIMIT_BYTES = 3_000_000
FILES = {"seen": failures(SEEN), "unseen": failures(UNSEEN)}
ALL = [failed for file in FILES.values() for failed in file]
MACHINE_PATH = re.compile(r"/(?:home|tmp|root|work|Users)/")


def test_there_are_failures_of_many_causes_of_several_programs_in_each_language() -> None:
    causes = {failed.cause: failed.language for failed in ALL}
    programs = {failed.program: failed.language for failed in ALL}
    assert len(ALL) >= 500
    assert len(causes) >= 80
    assert set(programs.values()) == {"java", "python", "node", "go"}
    assert min(Counter(causes.values()).values()) >= 20
    assert min(Counter(programs.values()).values()) >= 2


def test_programs_and_their_causes_are_seen_or_unseen_and_never_both() -> None:
    seen, unseen = ({(failed.program, failed.language) for failed in file} for file in FILES.values())
    assert not seen & unseen
    assert {language for _, language in seen} == {language for _, language in unseen}
    assert all(failed.cause.startswith(f"{failed.program}/") for failed in ALL)


def test_each_cause_failed_several_times_with_other_values() -> None:
    times = Counter(failed.cause for failed in ALL)
    assert min(times.values()) >= 3
    assert len({(failed.message, failed.stacktrace) for failed in ALL}) > 0.7 * len(ALL)


def test_a_cause_has_one_error_class_and_one_innermost_one() -> None:
    classes: dict[str, set[tuple[str, str | None]]] = {}
    for failed in ALL:
        innermost = innermost_cause(failed.stacktrace)
        classes.setdefault(failed.cause, set()).add((failed.error_class, innermost and innermost[0]))
    assert {cause: found for cause, found in classes.items() if len(found) > 1} == {}


def test_no_two_causes_say_exactly_the_same() -> None:
    saying: dict[tuple[str, ...], set[str]] = {}
    for failed in ALL:
        said = (failed.program, failed.error_class, failed.message, failed.stacktrace)
        saying.setdefault(said, set()).add(failed.cause)
    assert [causes for causes in saying.values() if len(causes) > 1] == []


def test_each_cause_is_told_in_its_program_s_list_and_each_of_the_list_is_recorded() -> None:
    listed = {
        f"{file.parent.name}/{cause['name']}": cause["of"]
        for file in PROGRAMS.glob("*/causes.toml")
        for cause in tomllib.loads(file.read_text(encoding="utf-8"))["cause"]
    }
    assert set(listed) == {failed.cause for failed in ALL}
    assert all(listed.values())


def test_a_file_stays_small() -> None:
    assert max(SEEN.stat().st_size, UNSEEN.stat().st_size) < SIZE_LIMIT_BYTES


def test_no_path_of_a_machine_is_in_them() -> None:
    assert [failed.cause for failed in ALL if MACHINE_PATH.search(failed.message + failed.stacktrace)] == []


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("12345")), max_size=20))
def test_agreement_is_what_looking_at_every_pair_gives(labelled: list[tuple[str, str]]) -> None:
    causes, groups = [cause for cause, _ in labelled], [group for _, group in labelled]
    assert astuple(agreement(causes, groups)) == pytest.approx(astuple(by_every_pair(causes, groups)))


def by_every_pair(causes: list[str], groups: list[str]) -> Agreement:
    pairs = list(combinations(range(len(causes)), 2))
    one_cause = {pair for pair in pairs if causes[pair[0]] == causes[pair[1]]}
    one_group = {pair for pair in pairs if groups[pair[0]] == groups[pair[1]]}

    def share(part: set[tuple[int, int]], whole: set[tuple[int, int]]) -> float:
        return len(part & whole) / len(whole) if whole else 1.0

    def of(cause: str, some: set[tuple[int, int]]) -> set[tuple[int, int]]:
        return {pair for pair in some if cause in (causes[pair[0]], causes[pair[1]])}

    def mean(shares: list[float]) -> float:
        return sum(shares) / len(shares) if shares else 1.0

    names = set(causes)
    return Agreement(
        share(one_cause, one_group),
        share(one_group, one_cause),
        mean([share(one_cause, of(name, one_group)) for name in names]),
        mean([share(one_group, of(name, one_cause)) for name in names]),
    )


def test_one_group_for_all_is_as_precise_as_chance_and_a_group_each_recalls_nothing() -> None:
    causes = ["a", "a", "b", "b"]
    assert agreement(causes, ["g"] * 4).precision == pytest.approx(2 / 6)
    assert agreement(causes, ["g"] * 4).recall == 1.0
    assert agreement(causes, [1, 2, 3, 4]).recall == 0.0


def test_a_failure_reads_as_a_dead_letter_with_its_class_message_and_stack() -> None:
    failed = Failed("shop", "go", "shop/any", "Error", "no stock", "goroutine 7")
    headers = dict(dead_letter(failed).headers)
    assert headers["__connect.errors.exception.message"] == b"no stock"
    assert headers["__connect.errors.exception.stacktrace"] == b"goroutine 7"
