"""Explanations for users: how rows are hydrated, and whether a query is cached."""
