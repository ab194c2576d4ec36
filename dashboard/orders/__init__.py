"""What the Orders page draws."""
