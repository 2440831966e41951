"""A Django app with the three tables of the operations, and the same tables in others' terms."""
