"""The version of OrderPulse: the one place that says it. The image has no pyproject.toml to read it from."""

VERSION = "0.1.0"
