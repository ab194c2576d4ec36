"""What the Alerts page draws."""
