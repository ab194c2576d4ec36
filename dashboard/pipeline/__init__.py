"""What the Pipeline page draws."""
