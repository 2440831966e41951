"""Benchmarks of single operations: inserts, reads, updates and deletes of ten tasks at once."""
