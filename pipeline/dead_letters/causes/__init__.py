"""What failures have in common: the cause that message and stack tell, and its fingerprint."""

from pipeline.dead_letters.causes.fingerprint import FINGERPRINT_VERSION, TITLE_LIMIT, Grouped, fingerprint
from pipeline.dead_letters.causes.templates import template

__all__ = ["FINGERPRINT_VERSION", "TITLE_LIMIT", "Grouped", "fingerprint", "template"]
