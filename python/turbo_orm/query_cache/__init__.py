"""Statements that Django compiled once, by the structure of the chain that made them."""
