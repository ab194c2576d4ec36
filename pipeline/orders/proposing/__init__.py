"""Proposes how a topic's records become orders, from a sample of them, and tries what somebody has written."""
