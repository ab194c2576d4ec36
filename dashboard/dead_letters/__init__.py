"""What the Dead letters page draws."""
