"""What people may ask for when they ask for sample orders, and where none can be written.

Apart from what makes them, so that who only asks needs none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeline.errors import UsageError
from pipeline.orders.mapping.currency import DEFAULT_DIGITS
from pipeline.settings import Settings, variable_of

if TYPE_CHECKING:
    from pipeline.orders.mapping.mapping_file import Mapped

MAX_COUNT = 10_000_000
MAX_RATE = 1_000_000.0


def why_no_samples(settings: Settings, mapped: Mapped) -> str:
    """Why no sample orders can be written; empty where they can. `mapped` is what the mapping file says."""
    topic, file = settings.own_orders_topic, settings.mapping_file.name
    if topic is None:
        return f"{variable_of('orders_topic')} has patterns only, and names no topic to write sample orders to"
    if mapped.recipe(topic) is not None:
        return f"sample orders are those of the schemas folder, and {topic} is read by its section in {file}"
    digits = mapped.mappings.currency.digits
    if digits != DEFAULT_DIGITS:
        return f"sample prices have {DEFAULT_DIGITS} digits behind the point, the currency in {file} has {digits}"
    return ""


@dataclass(frozen=True, slots=True)
class ProduceRequest:
    """Sample orders to make. Rates are records a second (0: as fast as the flow allows); shares are 0 to 1.

    The scenario `reference` is the 20 orders of the demonstration, of which order 15 fails for good.
    """

    count: int
    rate: float = 0.0
    seed: int = 1
    invalid_share: float = 0.0
    transient_share: float = 0.0
    malformed_share: float = 0.0
    scenario: Literal["shop", "reference"] = "shop"

    @property
    def simulates_failures(self) -> bool:
        """Whether some of the orders ask the handler to fail, as only that of the demo cluster does."""
        return self.transient_share > 0 or self.scenario == "reference"

    def check(self) -> None:
        """Raises UsageError with the first thing that is out of range."""
        if not 1 <= self.count <= MAX_COUNT:
            raise UsageError(f"count must be from 1 to {MAX_COUNT:,}, not {self.count:,}")
        if not 0 <= self.rate <= MAX_RATE:
            raise UsageError(f"rate must be from 0 to {MAX_RATE:,.0f} orders a second, not {self.rate}")
        shares = (self.invalid_share, self.transient_share, self.malformed_share)
        if not all(0 <= share <= 1 for share in shares) or sum(shares) > 1:
            raise UsageError(f"each share must be from 0 to 1 and their sum at most 1, not {shares}")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"seed must be from 0 to 2^63 - 1, not {self.seed}")
