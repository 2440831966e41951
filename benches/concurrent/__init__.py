"""Benchmarks of many tasks that share the few connections of a pool."""
