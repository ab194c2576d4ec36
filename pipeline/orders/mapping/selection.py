"""What paths want of a value, as a tree: a reader makes that, and passes over the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.orders.mapping.paths import TYPE, Path, Step


@dataclass(slots=True)
class Selection:
    """What is wanted of one value: all of it (`whole`), or some fields or items of it."""

    whole: bool = False
    fields: dict[str, Selection] = field(default_factory=dict)
    items: Selection | None = None
    """What is wanted of the items of a list, whichever of them."""

    def of_field(self, name: str) -> Selection | None:
        """What is wanted of a field; None: nothing."""
        return WHOLE if self.whole else self.fields.get(name)

    def of_items(self) -> Selection | None:
        """What is wanted of the items; None: nothing."""
        return WHOLE if self.whole else self.items

    def add(self, steps: Sequence[Step]) -> None:
        """Wants what these steps lead to, too."""
        if not steps or steps[0] == TYPE:
            self.whole = self.whole or not steps
        elif isinstance(steps[0], str):
            self.fields.setdefault(steps[0], Selection()).add(steps[1:])
        else:
            if self.items is None:
                self.items = Selection()
            self.items.add(steps[1:])


WHOLE = Selection(whole=True)


def selection_of(paths: Sequence[Path]) -> Selection:
    """What some paths want of a record's value."""
    wanted = Selection()
    for path in paths:
        wanted.add(path.steps)
    return wanted
