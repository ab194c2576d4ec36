"""A folder with a disk of its own that can be full at once, without writing anything."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from scripts.waiting import wait_for


class SmallDisk:
    """A tmpfs on a folder; `with SmallDisk(folder, 100)` mounts it. Needs root."""

    def __init__(self, folder: Path, size_mb: int) -> None:
        self.folder = folder
        self._size_bytes = size_mb * 1_000_000

    def fill(self) -> None:
        """No block is free from now on."""
        # It cannot become smaller than what is used, which may grow meanwhile.
        wait_for("a full disk", lambda: self._resize(shutil.disk_usage(self.folder).used))

    def free(self) -> None:
        """As much is free as before."""
        assert self._resize(self._size_bytes)

    def _resize(self, size_bytes: int) -> bool:
        resize = ["mount", "-o", f"remount,size={size_bytes}", str(self.folder)]
        return subprocess.run(resize, check=False, capture_output=True).returncode == 0

    def __enter__(self) -> Self:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self._size_bytes}", "tmpfs", str(self.folder)]
        subprocess.run(mount, check=True, capture_output=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wait_for("the end of all who use the disk", self._unmount)

    def _unmount(self) -> bool:
        return subprocess.run(["umount", str(self.folder)], check=False, capture_output=True).returncode == 0
