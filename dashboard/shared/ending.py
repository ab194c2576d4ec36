"""How the app's server ends when it is asked to: in order, and with exit code 0, as the roles do."""

from __future__ import annotations

import signal
import threading


def end_in_order() -> None:
    """Has SIGTERM end the server that imports the app. Does nothing where no server has taken that signal."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if not hasattr(server, "should_exit") or threading.current_thread() is not threading.main_thread():
        return
    # Its own handler ends the process by the signal again at the end: who stopped it would be told of a failure.
    signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
