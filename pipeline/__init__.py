"""The background side of OrderPulse: reads Kafka, keeps the buffer, replays dead letters. Runs without a UI package."""
