"""Holds the buffer against itself and against the topics, for `check`."""
