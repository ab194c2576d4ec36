"""The mark of a data folder that holds imported dead letters: no cluster is brought to it, by nobody's mistake.

A file, and not a look into the buffer: who starts a pipeline looks first, and that must cost next to nothing. The
buffer takes in no topic even where the file is gone.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import UsageError

IMPORTED_FILE = "imported.txt"
_SAID = "This folder holds imported dead letters, to be looked at. No pipeline runs on it, and nothing of it is sent.\n"


def is_imported(data_dir: Path) -> bool:
    """Whether the folder is marked."""
    return (data_dir / IMPORTED_FILE).exists()


def mark_imported(data_dir: Path) -> None:
    """Marks the folder. To be called before the first imported dead letter is in its buffer."""
    (data_dir / IMPORTED_FILE).write_text(_SAID, encoding="utf-8")


def refuse_imported(data_dir: Path, what: str) -> None:
    """Raises UsageError in a folder that is marked; `what` is what cannot be done there."""
    if is_imported(data_dir):
        raise UsageError(
            f"{what}: the data folder {data_dir} holds imported dead letters, and has no cluster; "
            "use another data folder for one"
        )
