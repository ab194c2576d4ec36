"""The list of what a new field of an order takes is true: no other file of the product names a field like it."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.settings import PROJECT_DIR

PRODUCT = ("pipeline", "dashboard", "pages", "schemas", "streamlit_app.py", "rules.toml")
# Why these name a field that is like any other to the rest of the product.
OTHERS = {
    "pipeline/orders/samples.py": "draws regions; a field that nobody draws has its default",
    "dashboard/orders/explorer.py": "draws its column narrow",
    "pipeline/orders/proposing/names.py": "knows by which names others call it; what has none is said by hand",
    "pipeline/orders/proposing/propose.py": "proposes where it comes from",
    "pipeline/dead_letters/causes/naming.py": "has words of messages, whichever fields an order has",
    "rules.toml": "names it as an example",
}


def listed() -> list[str]:
    """The files and folders that the list names, in its order."""
    text = (PROJECT_DIR / "CONTRIBUTING.md").read_text()
    section = text.partition("## Add a field to an order\n")[2].partition("\n## ")[0]
    return re.findall(r"^\d\. `([\w./-]+)`", section, re.MULTILINE)


def files_of_the_product() -> list[Path]:
    paths = [PROJECT_DIR / name for name in PRODUCT]
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return [file for file in files if file.suffix in (".py", ".sql", ".avsc", ".toml", ".md")]


def test_the_list_names_files_that_are_there_and_no_more_than_six() -> None:
    assert 0 < len(listed()) <= 6
    assert all((PROJECT_DIR / name).exists() for name in listed())


def test_only_the_listed_files_name_a_field_that_is_like_any_other() -> None:
    naming = {
        str(file.relative_to(PROJECT_DIR))
        for file in files_of_the_product()
        if re.search(r"\bregion(s|_ref)?\b", file.read_text(encoding="utf-8"), re.IGNORECASE)
    }
    others = {name for name in naming if not name.startswith(tuple(listed()))}
    assert others == OTHERS.keys()
