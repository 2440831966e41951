"""What a run of the benchmarks says: a record of it, a page with its targets, and plots."""
