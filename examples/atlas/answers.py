"""The answers, for people: the first lines of each, and how many rows of the database it took."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from atlas.models import City, Continent
from atlas.spelling import spellings

LINES = 4


class Streamed(NamedTuple):
    """People per time zone, and the number of cities that were streamed to count them."""

    people: Counter[str]
    rows: int


def of_cities(cities: Sequence[City]) -> Iterable[str]:
    for city in cities[:LINES]:
        # Only what was asked for: the country is here if the question selected it.
        country = city._state.fields_cache.get("country")
        where = city.country_id if country is None else country.name
        yield f"{city.name}, {where}: {city.population:,}   {spellings(city)}"


def across(cities: Sequence[City]) -> Iterable[str]:
    """Show cities from all over a long list, not only those that come first."""
    return of_cities(cities[len(cities) // (2 * LINES) :: max(1, len(cities) // LINES)])


def of_names(rows: Sequence[tuple[Any, ...]]) -> Iterable[str]:
    for name, *others in rows[:LINES]:
        yield f"{name}: {' · '.join(other for other in others if other)}"


def of_countries(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    for row in rows[:LINES]:
        people = f"{row['people'] or 0:,} people, {row['largest'] or 0:,} in the largest"
        yield f"{row['name']} ({row['continent__name']}): {row['count']:,} cities, {people}"


def of_totals(totals: dict[str, Any]) -> Iterable[str]:
    yield f"{totals['people']:,} people in {totals['cities']:,} cities, {totals['mean']:,.0f} each"
    yield f"from {totals['southernmost']}° to {totals['northernmost']}°"


def of_rehearsal(counts: dict[str, int]) -> Iterable[str]:
    yield ", ".join(f"{moment} {count:,}" for moment, count in counts.items())


def of_continents(continents: Sequence[Continent]) -> Iterable[str]:
    for continent in continents[:LINES]:
        countries = list(continent.countries.all())
        # The first prefetched city of a country is its largest.
        leaders = [next(iter(country.cities.all()), None) for country in countries]
        leader = max(filter(None, leaders), key=lambda city: city.population, default=None)
        yield f"{continent.name}: {len(countries)} countries, largest city: {leader or '–'}"


def of_tuples(rows: Sequence[tuple[Any, ...]]) -> Iterable[str]:
    for row in rows[:LINES]:
        yield " | ".join(str(value) for value in row[:8])


def of_dicts(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    for row in rows[:LINES]:
        yield ", ".join(f"{name}={row[name]}" for name in ("name", "country_id", "population"))


def of_timezones(answer: Streamed) -> Iterable[str]:
    for timezone, people in answer.people.most_common(LINES):
        yield f"{timezone}: {people:,}"


def one(_: object) -> int:
    return 1


def deleted(counts: dict[str, int]) -> int:
    return counts["deleted"]


def streamed(answer: Streamed) -> int:
    return answer.rows


def instances_below(continents: Sequence[Continent]) -> int:
    """Count all that the prefetch has brought: continents, countries and cities."""
    countries = [country for continent in continents for country in continent.countries.all()]
    return len(continents) + len(countries) + sum(len(c.cities.all()) for c in countries)
