"""What each role reports of itself, as one small file a role in the data folder.

Not in the buffer, on purpose: a role must be able to say that the buffer is damaged or its disk full. The file is
made once with its full size and then overwritten in place, which needs no free block on a full disk.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.clock import Clock

RoleState = Literal["starting", "running", "waiting", "failing", "stopped"]
FOLDER = "roles"
FILE_BYTES = 65_536
TEXT_CUT_AT = 15_000
"""Of a status that has no room in its file: the names of hundreds of topics have."""
STALE_AFTER_MS = 5000


@dataclass(frozen=True, slots=True)
class RoleStatus:
    """The newest report of one role. `detail` says what it waits for; `figures` are its own numbers (lag, rates, …).

    `pid` means something on `host` only: in containers every role is process 1.
    """

    role: str
    instance: int
    pid: int
    state: RoleState
    detail: str
    started_at_ms: int
    heartbeat_at_ms: int
    figures: dict[str, Any] = field(default_factory=dict)
    host: str = ""

    def silent(self, now_ms: int) -> bool:
        """Whether the role has reported nothing for so long that it must be taken for dead."""
        return self.state != "stopped" and now_ms - self.heartbeat_at_ms > STALE_AFTER_MS


class StatusWriter:
    """One role's entry on the board."""

    def __init__(self, data_dir: Path, role: str, instance: int, clock: Clock) -> None:
        self._clock = clock
        self._role = role
        self._instance = instance
        self._started_at_ms = clock()
        folder = data_dir / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / f"{role}-{instance}.json", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def report(self, state: RoleState, detail: str = "", figures: dict[str, Any] | None = None) -> None:
        """Overwrites this role's status. Raises OSError only where not even an overwrite in place is possible."""
        status = RoleStatus(
            self._role,
            self._instance,
            os.getpid(),
            state,
            detail,
            self._started_at_ms,
            self._clock(),
            figures or {},
            host_name(),
        )
        text = json.dumps(asdict(status)).encode()
        if len(text) > FILE_BYTES:
            # What grows without bound is the list of partitions; the figures that sum them up stay.
            figures = {
                name: figure[:TEXT_CUT_AT] if isinstance(figure, str) else figure
                for name, figure in status.figures.items()
                if not isinstance(figure, (dict, list))
            }
            text = json.dumps(asdict(status) | {"figures": figures, "detail": detail[:1000]}).encode()
        os.pwrite(self._file, text.ljust(FILE_BYTES), 0)

    def close(self) -> None:
        """Lets go of the file; the last report stays readable."""
        os.close(self._file)


def host_name() -> str:
    """The name of this machine, or of this container."""
    return socket.gethostname()


def read_roles(data_dir: Path) -> list[RoleStatus]:
    """All roles that ever reported in this data folder, sorted by role and instance. A torn file is left out."""
    statuses = []
    for path in sorted((data_dir / FOLDER).glob("*.json")):
        try:
            statuses.append(RoleStatus(**json.loads(path.read_bytes())))
        except (ValueError, TypeError, FileNotFoundError):
            continue  # caught between two writes: the next reading has it
    return statuses
