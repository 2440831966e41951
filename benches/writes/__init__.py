"""Writes of many rows by one call."""
