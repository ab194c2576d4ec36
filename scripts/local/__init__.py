"""Apache Kafka and a schema registry on this machine, for tests, benchmarks and developers: fetched, started, ended."""
