"""psycopg's connection and pool, watched by the event loop."""
