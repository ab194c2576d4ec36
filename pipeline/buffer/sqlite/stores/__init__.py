"""What writes to SQLite: one store for each part of the contract."""
