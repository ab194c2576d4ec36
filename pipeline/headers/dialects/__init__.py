"""One module for each dialect of dead-letter headers."""
