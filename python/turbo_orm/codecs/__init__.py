"""Values to and from what PostgreSQL sends: who decodes, encodes and quotes which type."""
