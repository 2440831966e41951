"""Another path of middleware."""

from tests.handlers.middlewares import function as middleware

__all__ = ["middleware"]
