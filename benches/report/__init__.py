"""Reports on a run of the benchmarks: its record, a page with its targets, and plots."""
