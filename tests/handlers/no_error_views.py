"""URLs whose error views cannot be imported."""

from tests.handlers.urls import urlpatterns

__all__ = ["urlpatterns"]

handler400 = handler403 = handler404 = handler500 = "tests.handlers.missing.view"
