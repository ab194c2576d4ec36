"""What looks at all the rest and changes no record: alerts, metrics, retention, the comparison with Kafka."""
