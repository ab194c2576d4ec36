"""The query language for dead letters: the same in the box, on the command line and in addresses. No SQL is here."""
