"""Benchmarks of hydration, from a result that is in the client's memory."""
