"""The app on a machine so busy that a page's run ends while a refresh is on its way to Streamlit, again and again."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from streamlit.proto.BackMsg_pb2 import BackMsg

from pipeline.settings import PROJECT_DIR

LAG_S = 0.4
Receive = Callable[[], Awaitable[dict[str, Any]]]
Asgi = Callable[[Any, Receive, Any], Awaitable[None]]


class LagAtRefreshes:
    """Holds the loop up between a refresh's arrival and its handling: runs go on meanwhile, what they draw waits."""

    def __init__(self, app: Asgi) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Any) -> None:
        async def receive_late() -> dict[str, Any]:
            message = await receive()
            if scope["type"] == "websocket" and _is_refresh(message):
                time.sleep(LAG_S)
            return message

        await self._app(scope, receive_late, send)


def _is_refresh(message: dict[str, Any]) -> bool:
    asked = BackMsg.FromString(message.get("bytes") or b"")
    return asked.HasField("rerun_script") and asked.rerun_script.is_auto_rerun


app = st.App(PROJECT_DIR / "streamlit_app.py", middleware=[Middleware(LagAtRefreshes)])
