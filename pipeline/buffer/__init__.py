"""The buffer: the only place that talks to SQLite. Roles write through the contract, the app reads through Reader."""

from pipeline.buffer.contract import Buffer
from pipeline.buffer.filters import OPEN_STATUSES, DeadLetterFilter, OrderFilter

__all__ = ["OPEN_STATUSES", "Buffer", "DeadLetterFilter", "OrderFilter"]
