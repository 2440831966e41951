"""What Django sees of a database: wrappers, cursors and transactions on async connections."""
