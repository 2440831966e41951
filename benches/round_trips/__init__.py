"""Benchmarks of operations whose statements have a way of some milliseconds to the server."""
