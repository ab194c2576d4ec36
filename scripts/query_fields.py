"""The fields of the query language as a table in docs/dead-letters.md: `python -m scripts.query_fields --write`."""

from __future__ import annotations

from pipeline.search.fields import FIELDS
from pipeline.settings import PROJECT_DIR
from scripts.generated import GeneratedPart

_COMPARED = {
    "status": "equal",
    "name": "equal in any case",
    "key": "equal in any case",
    "class": "equal in any case",
    "group": "equal, or a part of the title",
    "text": "holds it",
    "number": "`:` `<` `<=` `>` `>=`",
    "amount": "`:` `<` `<=` `>` `>=`",
    "time": "`:` `<` `<=` `>` `>=`",
}


def table() -> str:
    """A row for each field."""
    rows = (f"| `{field.name}` | {field.means} | {_COMPARED[field.kind]} |" for field in FIELDS)
    return "\n".join(("| field | what it is | compared |", "|---|---|---|", *rows))


TABLE = GeneratedPart(PROJECT_DIR / "docs" / "dead-letters.md", "fields", table)

if __name__ == "__main__":
    TABLE.main()
