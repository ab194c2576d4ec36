"""Hostile inputs for whatever reads what others wrote. `make fuzz` runs them at length, `make test` briefly."""
