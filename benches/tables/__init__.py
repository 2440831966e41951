"""A Django app with the four tables that the benchmarks read, and one that they refer to."""
