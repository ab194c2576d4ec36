"""Every exception OrderPulse raises, in one tree.

OrderPulseError
├── SettingsError            a setting is wrong: names it and says what is allowed
├── UsageError               a command or request asks for something that cannot be
│   ├── NothingToReplayError     no dead letter that was asked for can be sent
│   └── QueryError               a query of dead letters cannot be read: says where
├── RecordError              one record cannot be taken as it is
│   ├── PermanentError       never will be: goes to the dead-letter topic at once
│   │   ├── UndecodableError     its bytes are no order
│   │   │   └── SchemaUnusableError  the registry can never give its schema, or gives none that can be used
│   │   └── RuleBrokenError      it breaks a rule of the rules file
│   └── TransientError       may work later: parked and tried again
│       └── SchemaPendingError   its schema is not known yet, and may be in a moment
├── SchemaRefusedError       the registry does not take our schema: the job ends, with its reason
├── TomlFileError            a file that people edit cannot be used; what it said before stays in force
│   ├── RulesFileError           the rules file
│   ├── DeadLettersFileError     the file of the dead-letter topics
│   └── MappingFileError         the mapping file
├── UnavailableError         something outside is away: wait, say so, go on
│   ├── KafkaUnavailableError
│   ├── RegistryUnavailableError
│   └── BufferUnavailableError   locked for too long, disk full, folder gone
├── BufferCorruptError       the buffer file is no usable SQLite database
├── BufferTooNewError        the buffer file was written by a newer OrderPulse
├── StaleWriterError         somebody else advanced the offset: nothing was written
├── TopicChangedError        the topic is another one than the session began with
│   └── TopicHeldError           it is not to be read any more, or is to be read again
├── AlreadyRunningError      another pipeline owns this data folder
└── UnhealthyError           a role that was asked for does not run, is silent or fails
"""

from __future__ import annotations


class OrderPulseError(Exception):
    """Base of all errors that OrderPulse raises itself."""


class SettingsError(OrderPulseError):
    """A setting has a value that cannot be used."""


class UsageError(OrderPulseError):
    """A command or a request asks for something that cannot be done."""


class NothingToReplayError(UsageError):
    """None of the dead letters that a replay was asked for can be sent."""


class QueryError(UsageError):
    """A query cannot be read: what is wrong with it, and where, from character `at` up to `end`."""

    def __init__(self, message: str, at: int, end: int) -> None:
        super().__init__(message)
        self.at, self.end = at, max(end, at + 1)


class RecordError(OrderPulseError):
    """One record cannot be processed as it is.

    `reason` can be stored and sent: half of a surrogate pair, which a handler's text may hold, becomes its escape.
    `rule` is the short name of what failed (`price`, `required`, `avro`, `handler`, …) and ends in the header
    `orderpulse.rule`.
    """

    def __init__(self, reason: str, rule: str) -> None:
        self.reason = reason.encode("utf-8", "backslashreplace").decode()
        super().__init__(self.reason)
        self.rule = rule


class PermanentError(RecordError):
    """The record will fail however often it is tried."""

    def __init__(self, reason: str, rule: str = "handler") -> None:
        super().__init__(reason, rule)


class UndecodableError(PermanentError):
    """The record's bytes are no order in any known schema."""

    def __init__(self, reason: str, rule: str = "avro") -> None:
        super().__init__(reason, rule)


class SchemaUnusableError(UndecodableError):
    """The registry cannot be asked for what the record names, or what it has there is no schema of records.

    Waiting does not change that; another registry in the settings may.
    """


class RuleBrokenError(PermanentError):
    """The order breaks a rule of the rules file."""


class TransientError(RecordError):
    """The record may be accepted later; handlers raise this to ask for a retry."""

    def __init__(self, reason: str, rule: str = "handler") -> None:
        super().__init__(reason, rule)


class SchemaPendingError(TransientError):
    """The registry does not know the record's schema, and was asked for it a moment ago for the first time.

    A registry's replicas may get to know a schema after records that name it. `wait_ms`: when to ask again.
    """

    def __init__(self, reason: str, rule: str = "avro", wait_ms: int = 0) -> None:
        super().__init__(reason, rule)
        self.wait_ms = wait_ms


class SchemaRefusedError(OrderPulseError):
    """The registry does not take a schema of ours: it is not compatible with what its subject holds."""


class TomlFileError(OrderPulseError):
    """A file that people edit is missing, unreadable or says something that it cannot say."""


class RulesFileError(TomlFileError):
    """The rules file is missing, unreadable or says something that is no rule."""


class DeadLettersFileError(TomlFileError):
    """The file of the dead-letter topics is unreadable or says something that cannot be of them."""


class MappingFileError(TomlFileError):
    """The mapping file is unreadable, or says something that cannot be of an order."""


class UnavailableError(OrderPulseError):
    """Something outside this process is away; the caller waits and tries again."""


class KafkaUnavailableError(UnavailableError):
    """Kafka does not answer, or refuses us for a reason an operator can put right."""


class RegistryUnavailableError(UnavailableError):
    """The schema registry does not answer; no record may be judged without it."""


class BufferUnavailableError(UnavailableError):
    """The buffer cannot be written or read just now: locked, disk full, folder gone."""


class BufferCorruptError(OrderPulseError):
    """The buffer file is no SQLite database, or a damaged one."""


class BufferTooNewError(OrderPulseError):
    """The buffer file has a newer layout than this program knows."""


class StaleWriterError(OrderPulseError):
    """The guard on `next_offset` failed: another writer was here. Nothing was written."""


class TopicChangedError(OrderPulseError):
    """The topic was recreated, or the cluster is another one; sessions start over."""


class TopicHeldError(TopicChangedError):
    """Reading of the topic was stopped, or goes on from somewhere else; sessions start over."""


class AlreadyRunningError(OrderPulseError):
    """Another supervisor holds the lock of this data folder."""


class UnhealthyError(OrderPulseError):
    """A role is not well."""
