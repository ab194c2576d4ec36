"""The buffer: the only place that talks to SQLite. Roles write through the contract, the app reads through Reader."""

from pipeline.buffer.accounts import unaccounted, uncollected
from pipeline.buffer.connection import offset_of, record_id, ref_of
from pipeline.buffer.contract import (
    Advance,
    AlertWindow,
    Assignment,
    Batch,
    Buffer,
    DeadLetterRow,
    DeadLetterStore,
    FlowStore,
    Generation,
    Job,
    JobStore,
    OrderBlock,
    OrderRow,
    OutboxRow,
    Parked,
    ParkedPlace,
    ReplayItem,
    ReplayOutcome,
    ReplayPreview,
    Sent,
    WatchStore,
)
from pipeline.buffer.filters import OPEN_STATUSES, DeadLetterFilter, OrderFilter
from pipeline.buffer.recount import recount
from pipeline.buffer.sqlite import open_buffer

__all__ = [
    "OPEN_STATUSES",
    "Advance",
    "AlertWindow",
    "Assignment",
    "Batch",
    "Buffer",
    "DeadLetterFilter",
    "DeadLetterRow",
    "DeadLetterStore",
    "FlowStore",
    "Generation",
    "Job",
    "JobStore",
    "OrderFilter",
    "OrderBlock",
    "OrderRow",
    "OutboxRow",
    "Parked",
    "ParkedPlace",
    "ReplayItem",
    "ReplayOutcome",
    "ReplayPreview",
    "Sent",
    "WatchStore",
    "offset_of",
    "open_buffer",
    "record_id",
    "recount",
    "ref_of",
    "unaccounted",
    "uncollected",
]
