"""The atlas in Django's admin."""

from django.contrib import admin

from atlas.models import City, Continent, Country


@admin.register(Continent)
class ContinentAdmin(admin.ModelAdmin):
    list_display = ["name", "population"]


@admin.register(Country)
class CountryAdmin(admin.ModelAdmin):
    list_display = ["name", "continent", "capital", "population"]
    list_filter = ["continent"]
    list_select_related = ["continent"]
    search_fields = ["name"]


@admin.register(City)
class CityAdmin(admin.ModelAdmin):
    list_display = ["name", "country", "population", "timezone"]
    list_filter = ["country__continent"]
    list_select_related = ["country"]
    ordering = ["-population", "geonameid"]
    search_fields = ["name"]
