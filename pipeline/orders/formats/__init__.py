"""Reads values out of records of each format, told apart by their bytes and headers."""
