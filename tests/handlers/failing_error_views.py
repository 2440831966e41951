"""URLs whose error views raise, too."""

from tests.handlers.urls import Odd, urlpatterns

__all__ = ["urlpatterns"]


def fail(request, **kwargs):
    raise Odd("of the error view")


handler400 = handler403 = handler404 = handler500 = fail
