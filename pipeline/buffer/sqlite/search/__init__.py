"""Queries of dead letters as SQL."""
