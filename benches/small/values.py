"""What the tables hold, and the values of the first, the second, and any other call."""

import datetime
from typing import Any

WRITERS = 50
ARTICLES = 1_000
SECTIONS = 50
COUNTRIES = ("at", "fi", "jp", "pe", "za")
WORDS = 10_000

_BEGINNING = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def moment(n: int) -> datetime.datetime:
    """Return a moment of its own for each number."""
    return _BEGINNING + datetime.timedelta(seconds=n * 1_009, microseconds=n)


def article(n: int) -> tuple[Any, ...]:
    """Return the columns of an article, but for its key."""
    return (
        1 + n * 7 % WRITERS,
        f"Article {n}",
        n % SECTIONS,
        n * 389 % WORDS,
        n % 11 / 2,
        n % 3 == 0,
        moment(n),
    )


def key(n: int) -> tuple[Any, ...]:
    return (1 + n * 389 % ARTICLES,)


def no_key(n: int) -> tuple[Any, ...]:
    return (10**9 + n,)


def section(n: int) -> tuple[Any, ...]:
    return (n * 7 % SECTIONS,)


def section_and_words(n: int) -> tuple[Any, ...]:
    """Return what some articles have, and for every other number, none."""
    return (n % SECTIONS, n * 389 % 2_000 + (WORDS if n % 2 else 0))


def words_and_key(n: int) -> tuple[Any, ...]:
    return (n * 541 % WORDS, *key(n))


def words_country_and_section(n: int) -> tuple[Any, ...]:
    return (n * 389 % 2_000, COUNTRIES[n % len(COUNTRIES)], n % SECTIONS)
