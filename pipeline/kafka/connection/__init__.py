"""What every client of the library has in common: its properties, and what brokers refuse, in words."""
