"""The contenders that do small operations, on one connection each."""
