"""The demo cluster, which is inside the client library."""
