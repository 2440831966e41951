"""The atlas as a site: ``python -m atlas.site`` serves it."""
