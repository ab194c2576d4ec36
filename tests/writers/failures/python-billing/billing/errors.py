"""What billing itself raises."""


class BillingError(Exception):
    """A rule of billing is broken."""


class ProcessingFailed(Exception):
    """Wraps whatever a statement failed of."""
