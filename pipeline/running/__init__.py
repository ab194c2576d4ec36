"""What keeps a role running and reports how it does: sessions, the supervisor, the status board."""
