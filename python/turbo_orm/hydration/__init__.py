"""Rows become instances, tuples and dicts, by a plan of the native core."""
