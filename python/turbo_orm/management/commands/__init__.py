"""Django finds commands here by the names of their modules."""
