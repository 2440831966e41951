"""The same views, and error views of the project's own."""

from tests.handlers.urls import urlpatterns

__all__ = ["urlpatterns"]

handler400 = "tests.handlers.urls.error_400"
handler403 = "tests.handlers.urls.error_403"
handler404 = "tests.handlers.urls.error_404"
handler500 = "tests.handlers.urls.error_500"
