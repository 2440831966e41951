"""Those who do the operations, each on one connection."""
