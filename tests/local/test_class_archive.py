"""A server's classes are kept once, by the server itself, and whoever starts it later makes use of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.local.class_archive import archive_file, with_kept_classes
from scripts.local.fetch import kafka_jars
from scripts.local.keep_classes import keep_classes
from scripts.local.process import LocalService, run_java

PRINT_VERSION = ("org.apache.kafka.tools.GetOffsetShell", "--version")
A_CLASS_OF_KAFKA = "org.apache.kafka.tools.GetOffsetShell"


class Tool(LocalService):
    """A program of Kafka's that has ended before anybody asks it to."""

    def __init__(self, home: Path, java_options: tuple[str, ...]) -> None:
        self._home = home
        self._java_options = java_options
        self.printed = ""

    def start(self) -> None:
        self.printed = run_java((*self._java_options, "-cp", f"{self._home}/*", *PRINT_VERSION), 60.0)

    def stop(self) -> None:
        pass


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Kafka's jars in a folder beside which nothing is kept yet."""
    jars = tmp_path / "kafka"
    jars.symlink_to(kafka_jars(), target_is_directory=True)
    return jars


def source_of_classes(home: Path) -> str:
    """Where a JVM that makes use of what is kept has a class of Kafka from."""
    tool = Tool(home, (*with_kept_classes(home), "-Xlog:class+load:stdout"))
    tool.start()
    [source] = [line for line in tool.printed.splitlines() if f" {A_CLASS_OF_KAFKA} source: " in line]
    return source.partition(" source: ")[2]


def test_classes_that_are_kept_are_taken_from_there_and_from_the_jars_before(home, capsys):
    assert source_of_classes(home).startswith("file:")
    keep_classes(home, lambda _, options: Tool(home, options))
    assert source_of_classes(home) == "shared objects file (top)"
    assert capsys.readouterr().err == "orderpulse: keeping the classes of kafka for quicker starts, once\n"
    assert {path.name for path in home.parent.iterdir()} == {"kafka", archive_file(home).name}


def test_classes_that_are_kept_are_not_kept_again(home):
    keep_classes(home, lambda _, options: Tool(home, options))
    keep_classes(home, lambda _, options: pytest.fail("it was started again"))


def test_a_java_that_keeps_nothing_is_pointed_out_and_does_without(home, capsys):
    keep_classes(home, lambda _, options: Tool(home, ()))
    assert "this Java keeps none" in capsys.readouterr().err
    assert with_kept_classes(home) == ()


def test_what_is_no_archive_changes_nothing_that_a_program_prints(home):
    expected = Tool(home, ())
    expected.start()
    archive_file(home).write_bytes(bytes(100_000))
    found = Tool(home, with_kept_classes(home))
    found.start()
    assert found.printed == expected.printed
