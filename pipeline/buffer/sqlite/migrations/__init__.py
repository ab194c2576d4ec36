"""How a buffer's layout comes forward: `NNNN_what_it_does.sql` makes version NNNN of the one before.

`schema.sql` is the newest version as a whole, for new buffers. A change of layout is a change of both, and a buffer of
the version before in tests/contract/buffer/layouts. Released steps are never changed, and there is no way back: an
older program refuses a newer buffer. A step runs in one transaction with foreign keys off and ends with them checked;
statements end at a line's end.
"""

from importlib import resources


def released_steps() -> dict[int, str]:
    """The scripts by the version that each makes."""
    files = resources.files(__name__).iterdir()
    return {int(file.name[:4]): file.read_text("utf-8") for file in files if file.name.endswith(".sql")}
