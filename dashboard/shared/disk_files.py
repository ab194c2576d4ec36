"""Files to download that are too large for memory: on disk, streamed to the browser.

What st.download_button offers Streamlit holds in memory, for as long as any session shows it. These files have no name
in any folder: the disk has their room back when the last one who holds a `DiskFile` lets go of it, and when the app
ends, however it ends.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote
from weakref import WeakValueDictionary

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

FOLDER = "exports"
SENT_AT_ONCE_BYTES = 256 * 1024


class DiskFile:
    """A file to write to `out` and then to offer at `address`, for as long as somebody holds it.

    The address is relative to a page of the app. Who knows it may have the file, as with Streamlit's own downloads.
    """

    def __init__(self, folder: Path, name: str, mime: str) -> None:
        self.name = name
        self.mime = mime
        self.out: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open for as long as it is held
        token = secrets.token_urlsafe(32)
        self.address = f"{FOLDER}/{token}"
        _offered[token] = self

    def finish(self) -> None:
        """Everything is written."""
        self.out.flush()

    @property
    def size_bytes(self) -> int:
        """How much was written."""
        return os.fstat(self.out.fileno()).st_size

    def parts(self) -> Iterator[bytes]:
        """The content from its beginning; several may read at the same time."""
        at = 0
        while part := os.pread(self.out.fileno(), SENT_AT_ONCE_BYTES, at):
            yield part
            at += len(part)


_offered: WeakValueDictionary[str, DiskFile] = WeakValueDictionary()


def disk_files_route(base_path: str) -> Route:
    """The route that the app's server needs to send them; `base_path` is Streamlit's `server.baseUrlPath`."""
    base = base_path.strip("/")
    return Route(f"/{base}/{FOLDER}/{{token}}" if base else f"/{FOLDER}/{{token}}", _send, methods=["GET"])


async def _send(request: Request) -> Response:
    file = _offered.get(request.path_params["token"])
    if file is None:
        return PlainTextResponse("This file is no longer there. Open the export again.", 404)
    headers = {
        "Content-Length": str(file.size_bytes),
        "Content-Disposition": f"attachment; filename*=utf-8''{quote(file.name, safe='')}",
        # Else the server would compress it, on the cores that the pipeline needs.
        "Content-Encoding": "identity",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    # What is being sent is held by its own iterator, also when the page lets go of it meanwhile.
    parts = file.parts() if request.method == "GET" else iter(())
    return StreamingResponse(parts, media_type=file.mime, headers=headers)
