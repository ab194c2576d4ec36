"""What make calls: set-up, demo, screenshots."""
