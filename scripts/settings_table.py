"""Prints the README's table of settings from where they are declared; `--write` puts it there."""

from __future__ import annotations

from pipeline.settings import PROJECT_DIR, describe, load_settings
from scripts.generated import GeneratedPart

README = PROJECT_DIR / "README.md"


def table() -> str:
    """The Markdown table."""
    rows = ["| setting | default | what it is |", "|---|---|---|"]
    for line in describe(load_settings()):
        default = f"`{line.default}`" if line.default else "(empty)"
        rows.append(f"| `{line.variable}` | {default} | {line.help} |".replace("||", "\\|\\|"))
    return "\n".join(rows)


TABLE = GeneratedPart(README, "settings", table)

if __name__ == "__main__":
    TABLE.main()
