#!/bin/sh
# Makes the virtual environment: make_venv.sh PYTHON FOLDER. Says in one line what is missing.
set -eu
python=$1
folder=$2
if ! command -v "$python" >/dev/null 2>&1; then
    echo "orderpulse: there is no $python; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    found=$("$python" -c 'import sys; print(sys.version.split()[0])')
    echo "orderpulse: needs Python 3.11 or newer, $python is $found; name another: make PYTHON=/path/to/python" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "orderpulse: $python cannot make virtual environments; on Debian: apt-get install python3-venv" >&2
    exit 1
fi
"$python" -m venv "$folder"
