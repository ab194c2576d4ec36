"""The buffer on SQLite: the only place with SQL."""
