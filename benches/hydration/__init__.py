"""Benchmarks of hydration, from a result that has arrived already."""
