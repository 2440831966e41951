"""A page of the cities that a query string asks for: ``?q=tok&country=JP&page=2``."""

import asyncio
from dataclasses import dataclass

from django import forms
from django.core.exceptions import BadRequest
from django.http import QueryDict

from atlas.models import City


class Search(forms.Form):
    """What may be asked for. Without anything it is the first page of all cities."""

    q = forms.CharField(required=False, max_length=100)
    country = forms.CharField(required=False, max_length=2)
    page = forms.IntegerField(required=False, min_value=1, max_value=9999)


@dataclass(frozen=True)
class Page:
    """The cities of a page, and how many there are on all of them."""

    cities: list[City]
    count: int
    number: int
    size: int

    @property
    def previous(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        return self.number + 1 if self.number < self.last else None

    @property
    def last(self) -> int:
        return max(1, -(-self.count // self.size))


async def page_of_cities(asked: QueryDict, size: int) -> Page:
    """Return the page that is asked for, the most populous cities first.

    How many there are is counted at the same time, on another connection.
    """
    search = Search(asked)
    if not search.is_valid():
        raise BadRequest(search.errors.as_json())
    found = City.objects.select_related("country").order_by("-population", "pk")
    if words := search.cleaned_data["q"]:
        found = found.filter(name__icontains=words)
    if code := search.cleaned_data["country"]:
        found = found.filter(country=code.upper())
    number = search.cleaned_data["page"] or 1
    end = number * size
    count, cities = await asyncio.gather(found.acount(), found[end - size : end].alist())
    return Page(cities, count, number, size)
