"""What the page wants to know of topics."""

from __future__ import annotations

from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms
from dashboard.shared.questions import Asked, Question
from pipeline.buffer import LookupKind
from pipeline.jobs.requests import request_lookup


class TopicQuestion(Question):
    """A kind of question about topics."""

    def __init__(self, kind: LookupKind) -> None:
        super().__init__(f"connect_{kind}")
        self._kind = kind

    def ask(self, about: str, **params: str) -> Asked:
        """What is known of that; where nothing was asked yet, it is asked now."""
        return self.asked(about, lambda buffer, by: request_lookup(settings(), buffer, now_ms, self._kind, params, by))


TOPICS, SAMPLE, TRIAL = TopicQuestion("topics"), TopicQuestion("sample"), TopicQuestion("try")


def has_news() -> bool:
    """Whether the page has to be drawn again."""
    return any([TOPICS.has_news(), SAMPLE.has_news(), TRIAL.has_news()])
