"""A statement meets a connection: sent directly or through a cursor, and its rows fetched."""
