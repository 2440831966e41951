"""Benchmarks of whole queries, on a real PostgreSQL."""
