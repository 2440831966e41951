"""Those who do the same operations, each in the way that its documentation shows."""
