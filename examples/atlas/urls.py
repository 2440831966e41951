"""The atlas as JSON: ``/continents/``, ``/cities/``, ``/cities/1850147/``, ``/countries/JP/``."""

from django.urls import path

from atlas import views

urlpatterns = [
    path("continents/", views.continents),
    path("cities/", views.cities),
    path("cities/all/", views.all_cities),
    path("cities/<int:geonameid>/", views.city),
    path("countries/", views.countries, name="countries-json"),
    path("countries/<str:code>/", views.country),
]
