"""The rules file: TOML in, rules out, or an error that names file, line and key; followed whenever it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import RulesFileError
from pipeline.orders.rules import RULES, Rule, Rules
from pipeline.orders.toml_file import MAXIMUM_DEPTH, Problem, WatchedFile, parse, problem_of, read_file

_KIND = "rules file"


def load_rules(path: Path) -> Rules:
    """Reads a rules file. Raises RulesFileError with one line: the file, the line and key, what is allowed."""
    return parse_rules(read_file(path, _KIND, RulesFileError), path)


def parse_rules(
    content: bytes, path: Path, known: Sequence[type[Rule]] = RULES, maximum_depth: int = MAXIMUM_DEPTH
) -> Rules:
    """The rules that a file's content switches on; `path` is for the error's words.

    `known` are the rules there are. `maximum_depth` is how many tables and lists may hold one another.
    Raises RulesFileError with one line.
    """
    return Rules(parse(content, path, _KIND, RulesFileError, partial(_rules_of, known=known), maximum_depth))


def _rules_of(table: Mapping[str, Any], known: Sequence[type[Rule]]) -> tuple[list[Rule], list[Problem]]:
    rules: list[Rule] = []
    problems: list[Problem] = []
    for rule in known:
        own = {key: table[key] for key in rule.file_keys() if key in table}
        if not own and rule.may_be_off:
            continue
        try:
            rules.append(rule.model_validate(own))
        except ValidationError as error:
            problems += map(problem_of, error.errors(include_url=False))
    every_key = [key for rule in known for key in rule.file_keys()]
    is_no_rule = f" is no rule; there are {', '.join(every_key)}"
    problems += [Problem((key,), is_no_rule) for key in table if key not in every_key]
    # In TOML a line below a [table] belongs to it: a rule's key there would switch nothing on, and be a product's name.
    problems += [
        Problem((name, key), f": {key} belongs above every [table]")
        for name, inner in table.items()
        if isinstance(inner, dict)
        for key in inner
        if key in every_key
    ]
    return rules, problems


class RulesFile(WatchedFile[Rules]):
    """The rules as the file has them now. A change that cannot be used leaves the old rules in force."""

    kind = _KIND
    error_class = RulesFileError

    def parse(self, content: bytes | None) -> Rules:
        """The rules that the file's bytes switch on. Raises RulesFileError."""
        return parse_rules(content or b"", self.path)

    @property
    def rules(self) -> Rules:
        """The rules in force."""
        return self.content
