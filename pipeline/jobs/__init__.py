"""What people ask for: produce and replay jobs, from the request to the last confirmed record."""
