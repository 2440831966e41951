"""The contenders that read lists of rows."""
