"""One dead letter, looked at closely: what is odd about it, what became of it, how long it is kept."""
