"""A Django app with models of every kind, for the tests."""
