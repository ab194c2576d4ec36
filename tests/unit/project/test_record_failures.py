"""What the recorder of failures leaves behind."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from pipeline.settings import PROJECT_DIR

RECORDS = """
import sys, threading
from pathlib import Path
from tests.writers.failures.databases import running_server
from tests.writers.record_failures import end_in_order_on_sigterm
port = sys.argv[2]
end_in_order_on_sigterm()
serve = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", port]
with running_server(serve, Path(sys.argv[1]), int(port)):
    print("up", flush=True)
    threading.Event().wait()
"""


def test_sigterm_ends_the_databases_too(tmp_path: Path, free_port: int) -> None:
    command = [sys.executable, "-c", RECORDS, str(tmp_path / "server.log"), str(free_port)]
    with subprocess.Popen(command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, text=True) as recorder:
        assert recorder.stdout is not None
        assert recorder.stdout.readline() == "up\n"
        recorder.terminate()
        assert recorder.wait(60) == 143
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", free_port)) != 0
