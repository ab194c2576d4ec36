"""Pipelines for tests, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.running_pipeline import RunningPipeline


@pytest.fixture
def pipeline_with(tmp_path: Path) -> Iterator[Callable[..., RunningPipeline]]:
    """Makes pipelines with settings; ends them after the test."""
    made: list[RunningPipeline] = []

    def make(**settings: Any) -> RunningPipeline:
        folder = tmp_path / f"data{len(made)}"
        folder.mkdir()
        made.append(RunningPipeline(folder, **settings))
        return made[-1]

    yield make
    for pipeline in made:
        pipeline.end()


@pytest.fixture
def pipeline(pipeline_with: Callable[..., RunningPipeline]) -> RunningPipeline:
    """A pipeline that runs, with the default settings."""
    running = pipeline_with()
    running.up()
    return running
