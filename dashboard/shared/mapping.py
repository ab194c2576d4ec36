"""What the mapping file says, as the app knows it: how fields are called, what amounts are in, which topics it maps."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import streamlit as st

from dashboard.shared.configuration import settings
from dashboard.shared.context import reader
from pipeline.buffer import Reader
from pipeline.errors import BufferUnavailableError, MappingFileError
from pipeline.orders.mapping.currency import DEFAULT_CURRENCY
from pipeline.orders.mapping.mapping_file import DEFAULT, Mapped, MappingFile
from pipeline.orders.sample_requests import why_no_samples
from pipeline.records import Currency
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Wording:
    """How people want to have fields called and amounts shown."""

    said: tuple[tuple[str, str], ...] = ()
    """What the file calls fields, by their names in it."""
    currency: Currency = DEFAULT_CURRENCY

    def of(self, name: str, ours: str) -> str:
        """What a field is called, by its name in the file: as the file says, else with these words of ours."""
        return dict(self.said).get(name, ours)


OURS = Wording()
"""Where the file says nothing of it."""


class SummedDigits:
    """How many digits behind the point the buffer's amounts have. They stay as they are from its first order on."""

    def __init__(self, source: Reader) -> None:
        self._source = source
        self._file: object = None
        self._digits: int | None = None

    def digits(self) -> int | None:
        """The digits; None while there are no orders, or the buffer cannot be read."""
        try:
            file = self._source.data_version()[0]
            if file == self._file and self._digits is not None:
                return self._digits
            digits = self._source.currency().digits if self._source.totals().orders else None
        except BufferUnavailableError:
            return None
        self._file, self._digits = file, digits
        return digits


class ShownMapping:
    """The mapping file, for pages: a change that cannot be used leaves in force what was before, at the start nothing.

    Safe to read from any thread.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._file: MappingFile | None = None
        self._seen: bytes | int | None = None
        self.mapped: Mapped = DEFAULT
        self.wording = OURS
        self.error = ""
        """Why the file as it is now cannot be used; empty when it can."""

    @property
    def version(self) -> str:
        """A short hash of the file that is in force; empty where none is."""
        return "" if self._file is None else self._file.version

    def refresh(self) -> None:
        """Follows the file. Costs the reading of it, 20 µs, while it stays as it is."""
        with self._lock:
            seen = self._look()
            if seen != self._seen:
                self._read()
                self._seen = seen

    def _look(self) -> bytes | int | None:
        """The bytes of the file, or why there are none."""
        try:
            return self._settings.mapping_file.read_bytes()
        except OSError as error:
            return error.errno

    def _read(self) -> None:
        try:
            if self._file is None:
                self._file = MappingFile(self._settings)
            else:
                self._file.refresh()
        except MappingFileError as error:
            self.error = str(error)
            return
        self.error = self._file.error
        self.mapped = self._file.content
        mappings = self.mapped.mappings
        self.wording = Wording(tuple(mappings.labels.said().items()), mappings.currency)


def mapping() -> ShownMapping:
    """The file as it is now."""
    shown = _shown()
    shown.refresh()
    return shown


def wording() -> Wording:
    """How the file as it is now has fields called and amounts shown.

    Once there are orders, amounts have the digits that the buffer sums them with, whatever the file has come to say.
    """
    said = mapping().wording
    digits = _summed().digits()
    return said if digits is None else replace(said, currency=said.currency._replace(digits=digits))


def why_nothing_is_produced() -> str:
    """Why no sample orders can be written as the file is now; empty where they can."""
    shown = mapping()
    return shown.error or why_no_samples(settings(), shown.mapped)


@st.cache_resource(show_spinner=False)
def _summed() -> SummedDigits:
    return SummedDigits(reader())


@st.cache_resource(show_spinner=False)
def _shown() -> ShownMapping:
    return ShownMapping(settings())
