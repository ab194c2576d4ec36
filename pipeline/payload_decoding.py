"""What reads the payloads of dead letters for a command: by the registry, which is asked once for each schema."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from pipeline.errors import MappingFileError
from pipeline.orders.mapping.mapping_file import DEFAULT, Mapped, load_mappings
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.dead_letters.asked_once import AskedOnce
    from pipeline.dead_letters.decoded_columns import PayloadDecoder


class CommandDecoder(NamedTuple):
    """What decodes, and the registry that it asks; None where none is set."""

    decoder: PayloadDecoder
    registry: AskedOnce | None

    @property
    def trouble(self) -> str:
        """Why the registry gives no answers; empty while it does."""
        return "" if self.registry is None else self.registry.trouble


def command_decoder(settings: Settings, mapped: Mapped) -> CommandDecoder:
    """Decodes as the settings and the mapping file say."""
    # What reads all formats takes its time to be imported, and most exports decode nothing.
    from pipeline.dead_letters.asked_once import AskedOnce
    from pipeline.dead_letters.decoded_columns import PayloadDecoder
    from pipeline.dead_letters.decoding import Decoder
    from pipeline.dead_letters.topics_file import load_dead_letter_topics
    from pipeline.orders.avro_schemas import SchemaStore
    from pipeline.orders.formats.schemas import Schemas
    from pipeline.roles import registry_of

    found = registry_of(settings)
    registry = None if found is None else AskedOnce(found)
    decoder = Decoder(Schemas(SchemaStore(settings.schemas_dir), registry), lambda: mapped)
    return CommandDecoder(PayloadDecoder(decoder, load_dead_letter_topics(settings).source_of), registry)


def mapped_or_default(settings: Settings, otherwise: str) -> Mapped:
    """What the mapping file says; nothing while it cannot be used, and a line that says how it is `otherwise`."""
    try:
        return load_mappings(settings)
    except MappingFileError as error:
        # What is in the buffer is there whatever the file says now.
        print(f"{otherwise}: {error}", file=sys.stderr)
        return DEFAULT
