"""Every Python that starts with this folder on its path has a wall clock that a test may set, like a machine's.

What the C libraries wait for is none of it: no clock that is set holds up those that wait by the steady one.
"""

import mmap
import os
import time

if "MOVED_CLOCK_FILE" in os.environ:
    with open(os.environ["MOVED_CLOCK_FILE"], "rb") as file:
        # All eight bytes at once: read one by one, they could be half of the old time and half of the new one.
        ahead_ns = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)).cast("q")
    true_time_ns = time.time_ns

    def moved_time_ns() -> int:
        """`time.time_ns`, so much ahead as the file says."""
        return true_time_ns() + ahead_ns[0]

    time.time_ns = moved_time_ns
    time.time = lambda: moved_time_ns() / 1e9
