"""Parts of the docs that the program itself writes: between two marks, by `make docs`, held up to date by tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GeneratedPart:
    """A part of a file; `name` is in its marks, `write` makes what stands between them."""

    file: Path
    name: str
    write: Callable[[], str]

    def refreshed(self) -> str:
        """The file with the part as it has to be now."""
        begin, end = f"<!-- {self.name}: begin (made by `make docs`) -->", f"<!-- {self.name}: end -->"
        before, _, rest = self.file.read_text(encoding="utf-8").partition(begin)
        _, _, after = rest.partition(end)
        return f"{before}{begin}\n{self.write()}\n{end}{after}"

    def is_current(self) -> bool:
        """Whether the file has it as it has to be."""
        return self.file.read_text(encoding="utf-8") == self.refreshed()

    def main(self) -> None:
        """Prints the part, or with `--write` puts it into the file."""
        if "--write" in sys.argv:
            self.file.write_text(self.refreshed(), encoding="utf-8")
        else:
            print(self.write())
