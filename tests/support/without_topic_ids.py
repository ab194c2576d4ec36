"""Has a pipeline's processes be told no topic ids. All else is the real cluster."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.settings import PROJECT_DIR
from tests.support.running_pipeline import RunningPipeline

FOLDER = Path(__file__).parent / "no_topic_ids"


def tell_no_topic_ids(pipeline: RunningPipeline) -> Path:
    """Of what is started from now on; returns the file as long as which is there no ids are told."""
    file = pipeline.data_dir / "no-ids"
    file.touch()
    pipeline.environment["NO_TOPIC_IDS_FILE"] = str(file)
    pipeline.environment["PYTHONPATH"] = os.pathsep.join((str(FOLDER), str(PROJECT_DIR)))
    return file
