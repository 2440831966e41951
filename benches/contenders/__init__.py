"""How each library connects that several suites compare. The suites add their operations."""
