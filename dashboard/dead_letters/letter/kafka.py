"""What Kafka tells of the open dead letter: asked when it is opened, and not again until somebody wants it anew."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard.dead_letters.opened import opened_id
from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms
from dashboard.shared.formats import plain
from dashboard.shared.questions import Asked, Question, say_waiting
from pipeline.buffer.views import DeadLetterDetail
from pipeline.dead_letters.letter.examined import Examined, examined_from
from pipeline.errors import OrderPulseError
from pipeline.jobs.requests import request_letter

_LETTER = Question("letter")


@dataclass(frozen=True, slots=True)
class Told:
    """What Kafka told; `examined` None: `why_not`, or it is still waited for."""

    examined: Examined | None
    why_not: str = ""
    asked: Asked | None = None


def ask_kafka(detail: DeadLetterDetail) -> Told:
    """What is known so far. The first time it is asked."""
    if detail.row.imported:
        return Told(None, "It was imported: its Kafka is not asked.")
    identifier = detail.row.id
    try:
        asked = _LETTER.asked(
            str(identifier), lambda buffer, by: request_letter(settings(), buffer, now_ms, identifier, by)
        )
    except OrderPulseError as error:
        return Told(None, str(error))
    return Told(None if asked.answer is None else examined_from(asked.answer), asked.error, asked)


def kafka_has_news() -> bool:
    """Whether Kafka has told what was asked since. Once nothing is open, what it told is forgotten."""
    if opened_id() is None:
        forget_kafka()
    return _LETTER.has_news()


def forget_kafka() -> None:
    """It is asked anew the next time."""
    _LETTER.forget()


def say_what_is_waited_for(told: Told) -> None:
    """Says that Kafka is being asked, or why it says nothing, with a way to ask again."""
    if told.asked is not None:
        say_waiting(told.asked, ":material/hourglass_top: Kafka is asked: the worker looks at its records.")
    elif told.why_not:
        st.caption(plain(told.why_not))
