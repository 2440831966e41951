"""Engines: what ``DATABASES`` names."""
