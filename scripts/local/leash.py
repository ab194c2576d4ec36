"""Turns into a command that the kernel ends together with its parent: leash.py PARENT_PID COMMAND ARGUMENT…

The kernel watches the thread that started it, so that thread must live as long as the command shall.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Of linux/prctl.h; it survives exec."""


def main(parent_pid: int, command: list[str]) -> None:
    """Never returns."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL)) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
    # The parent may have ended before the line above took hold.
    if os.getppid() != parent_pid:
        sys.exit("the process that wanted this command has ended")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
