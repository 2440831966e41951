"""Rows to objects, by a plan of the native core."""
