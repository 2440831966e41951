"""The pages of the site, the API, and Django's admin."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView

from atlas.site import views
from atlas.site.static_files import static_file
from turbo_orm import in_thread

# It computes the hash of a password, for long.
in_thread(admin.AdminSite.login)

urlpatterns = [
    path("", views.cities, name="cities"),
    path("cities/<int:geonameid>/", views.city, name="city"),
    path("countries/<str:code>/", views.country, name="country"),
    path("live/", TemplateView.as_view(template_name="atlas/live.html"), name="live"),
    path("events/", views.events, name="events"),
    path("api/", include("atlas.urls")),
    path("admin/", admin.site.urls),
    path("static/<path:path>", static_file),
]
