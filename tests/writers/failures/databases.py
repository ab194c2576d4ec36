"""PostgreSQL and MariaDB for the failing programs: empty, on free ports, gone afterwards. Neither runs as root."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scripts.waiting import wait_for

_LOCALE = "C.UTF-8"


@contextmanager
def postgres(folder: Path) -> Iterator[int]:
    """A server on 127.0.0.1 with the superuser `shop` and the database `postgres`; gives its port."""
    port = _free_port()
    data = folder / "postgres"
    account = _account("postgres", folder)
    _run([*account, _program("initdb"), "-D", str(data), "-U", "shop", "-A", "trust", f"--locale={_LOCALE}", "-N"])
    options = ["-c", f"port={port}", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    with running_server([*account, _program("postgres"), "-D", str(data), *options], folder / "postgres.log", port):
        yield port


@contextmanager
def mariadb(folder: Path) -> Iterator[int]:
    """A server on 127.0.0.1 with the user `shop` without a password and the database `shop`; gives its port."""
    port = _free_port()
    data = folder / "mariadb"
    account = _account("mysql", folder)
    at = ["--no-defaults", f"--datadir={data}"]
    _run([*account, _program("mariadb-install-db"), *at, "--auth-root-authentication-method=normal"])
    socket_file = folder / "mariadb.sock"
    options = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={socket_file}", f"--pid-file={data}/pid"]
    with running_server([*account, _program("mariadbd"), *at, *options], folder / "mariadb.log", port):
        user = "CREATE USER shop@'127.0.0.1'; GRANT ALL ON shop.* TO shop@'127.0.0.1';"
        _run(
            [
                _program("mariadb"),
                "--no-defaults",
                f"--socket={socket_file}",
                "-u",
                "root",
                "-e",
                f"CREATE DATABASE shop; {user}",
            ]
        )
        yield port


@contextmanager
def running_server(command: Sequence[str], log: Path, port: int) -> Iterator[None]:
    """What this command starts, once it answers on this port of 127.0.0.1; it is ended afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd="/")
    try:
        wait_for(log.stem, lambda: _answers(port))
        yield
    finally:
        process.terminate()
        process.wait(60)


def _account(name: str, folder: Path) -> list[str]:
    if os.getuid() != 0:
        return []
    shutil.chown(folder, name)
    folder.chmod(0o777)
    return ["setpriv", f"--reuid={name}", f"--regid={name}", "--clear-groups"]


def _program(name: str) -> str:
    found = shutil.which(name) or next(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), None)
    if found is None:
        raise SystemExit(f"{name} is not installed: failures are recorded with PostgreSQL and MariaDB")
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, cwd="/", text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
