"""Orders in: reads the orders topic, judges each record, retries, and sends what failed on its way."""
