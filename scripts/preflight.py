"""Says in one line what would keep the app from starting: `preflight.py PORT`."""

from __future__ import annotations

import socket
import sys

from pipeline.errors import SettingsError
from pipeline.settings import load_settings, prepare_data_dir


def main(port: int) -> int:
    """0 when the app can start, else 1."""
    try:
        prepare_data_dir(load_settings())
    except SettingsError as error:
        print(f"orderpulse: {error}", file=sys.stderr)
        return 1
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            print(
                f"orderpulse: port {port} is in use; end what runs there or take another: make run PORT={port + 1}",
                file=sys.stderr,
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
