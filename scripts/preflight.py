"""Says in one line what would keep the app from starting: `preflight.py PORT`."""

from __future__ import annotations

import errno
import socket
import sys

from pipeline.errors import SettingsError
from pipeline.settings import load_settings, prepare_data_dir


def main(port_text: str) -> int:
    """0 when the app can start, else 1."""
    try:
        prepare_data_dir(load_settings())
    except SettingsError as error:
        print(f"orderpulse: {error}", file=sys.stderr)
        return 1
    port = int(port_text) if port_text.isascii() and port_text.isdigit() and len(port_text) <= 5 else 0
    if not 0 < port < 65_536:
        print(f"orderpulse: PORT={port_text} is no port; take one from 1 to 65535: make run PORT=8501", file=sys.stderr)
        return 1
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            other = port + 1 if 1024 <= port < 65_535 else 8501
            what = "may only be used by root" if error.errno == errno.EACCES else "is in use; end what runs there"
            print(f"orderpulse: port {port} {what}, or take another: make run PORT={other}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:]).strip()))
