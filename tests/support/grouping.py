"""How well groups of failures match their causes, by pairs: every two failures of one group should have one cause.

Precision is the share of pairs in one group that have one cause; recall the share of pairs of one cause that are in
one group. Over causes, each cause counts alike: its precision is over the pairs in one group with a failure of it, its
recall over its own pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agreement:
    """Pairwise precision and recall, over all pairs and averaged over causes; 1.0 where no pair can be wrong."""

    precision: float
    recall: float
    precision_over_causes: float
    recall_over_causes: float


def agreement(causes: Sequence[Hashable], groups: Sequence[Hashable]) -> Agreement:
    """How well the groups match the causes: one of each for every failure, in the same order."""
    both = Counter(zip(causes, groups, strict=True))
    of_cause, of_group = Counter(causes), Counter(groups)
    right = {cause: 0 for cause in of_cause}
    together = {cause: 0 for cause in of_cause}
    for (cause, group), count in both.items():
        right[cause] += _pairs(count)
        together[cause] += _pairs(count) + count * (of_group[group] - count)
    in_causes = {cause: _pairs(count) for cause, count in of_cause.items()}
    return Agreement(
        _share(sum(right.values()), sum(map(_pairs, of_group.values()))),
        _share(sum(right.values()), sum(in_causes.values())),
        _mean([_share(right[cause], together[cause]) for cause in of_cause]),
        _mean([_share(right[cause], in_causes[cause]) for cause in of_cause]),
    )


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 1.0
