"""Requests on the event loop: Django's ASGI handler, and where it calls what is sync."""
