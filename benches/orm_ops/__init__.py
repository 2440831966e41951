"""Benchmarks of single operations of ten tasks at once: inserts, reads, updates and deletes."""
