"""Prints the README's table of settings from where they are declared; `--write` puts it there."""

from __future__ import annotations

import sys

from pipeline.settings import PROJECT_DIR, describe, load_settings

BEGIN, END = "<!-- settings: begin (made by `make docs`) -->", "<!-- settings: end -->"
README = PROJECT_DIR / "README.md"


def table() -> str:
    """The Markdown table."""
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    for line in describe(load_settings()):
        default = f"`{line.default}`" if line.default else "(empty)"
        rows.append(f"| `{line.variable}` | {default} | {line.help} |".replace("||", "\\|\\|"))
    return "\n".join(rows)


def with_table(text: str) -> str:
    """The README with the table of now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    if "--write" in sys.argv:
        README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table())
