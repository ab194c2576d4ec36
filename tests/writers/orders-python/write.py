"""Records orders as libraries in Python write them: `python write.py FOLDER`, with requirements.txt installed.

The project's folder has to be in PYTHONPATH, for the tests' stand-in of a registry.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cloud_events
import confluent_serializers
import plain
from messages import write_descriptors


def main(folder: Path) -> None:
    write_descriptors()
    for writer in (confluent_serializers, plain, cloud_events):
        writer.write(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
