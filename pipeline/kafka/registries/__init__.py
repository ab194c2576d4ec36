"""How registries are asked for a schema: by Confluent's API, and by Apicurio's for ids of its own."""
