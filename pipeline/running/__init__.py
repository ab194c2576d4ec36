"""What keeps a role running and tells how it does: sessions, the supervisor, the status board."""
