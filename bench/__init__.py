"""Benchmarks: what `make bench` runs. Nothing here changes how the pipeline works; it is run as users run it."""
