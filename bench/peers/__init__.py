"""The same work in other frameworks. These run in an environment of their own and import nothing of OrderPulse."""
