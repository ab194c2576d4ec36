"""A shop whose orders are not ours: 20 nested fields in Avro, JSON and Protobuf, written by other people's libraries.

These run in the environment of the peers and import nothing of OrderPulse.
"""
