"""ORMs and drivers behind an HTTP server: throughput, latency and memory under load."""
