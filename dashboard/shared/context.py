"""What every page needs to know: the buffer's reader, the time, and how an error is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from dashboard.shared.configuration import settings
from dashboard.shared.formats import plain
from pipeline.buffer import Buffer, Reader, open_buffer
from pipeline.clock import pause, steady_clock_ms, wall_clock_ms
from pipeline.errors import BufferUnavailableError, OrderPulseError


@st.cache_resource(show_spinner=False)
def reader() -> Reader:
    """The one reader that all sessions share."""
    return Reader(settings().database_file)


@contextmanager
def writer() -> Iterator[Buffer]:
    """The buffer, open for one request of a user."""
    with open_buffer(settings().database_file, "FULL") as buffer:
        yield buffer


def now_ms() -> int:
    """Epoch milliseconds."""
    return wall_clock_ms()


def steady_ms() -> int:
    """Milliseconds since some moment of its own, for how long something took; nobody can set it."""
    return steady_clock_ms()


def wait(seconds: float) -> bool:
    """Waits so long, for what a user has asked for and sees being made; false: nobody asked to stop."""
    return pause(seconds)


def viewer_zone() -> tzinfo:
    """The time zone of the viewer's browser, UTC where it does not tell."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except ZoneInfoNotFoundError:
        return ZoneInfo("UTC")


@contextmanager
def shown_errors() -> Iterator[None]:
    """Shows what goes wrong inside as one line on the page; the next refresh tries again."""
    try:
        yield
    except BufferUnavailableError as error:
        st.info(plain(str(error)), icon=":material/hourglass_top:")
    except OrderPulseError as error:
        st.error(plain(str(error)), icon=":material/error:")
