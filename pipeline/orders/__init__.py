"""What an order is: how it is read from bytes and written, the rules it must keep, and what handles it."""
