"""The same views, and error views of the project's own."""

from tests.handlers.urls import urlpatterns

__all__ = ["urlpatterns"]

handler400 = "tests.handlers.error_views.error_400"
handler403 = "tests.handlers.error_views.error_403"
handler404 = "tests.handlers.error_views.error_404"
handler500 = "tests.handlers.error_views.error_500"
