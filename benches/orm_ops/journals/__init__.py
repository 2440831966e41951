"""A Django app with the three tables of the operations, and their models in the other ORMs."""
