"""Those who answer the same queries, side by side."""
