"""The names of a city in scripts other than Latin, of the many that GeoNames knows."""

from unicodedata import name as character_name

from atlas.models import City

_SCRIPTS = ("CYRILLIC", "DEVANAGARI", "CJK", "ARABIC")


def spellings(city: City) -> str:
    """Return the city's first name in each script of a few, where it has one."""
    found: dict[str, str] = {}
    for spelling in city.alternate_names:
        found.setdefault(character_name(spelling[:1], "").partition(" ")[0], spelling)
    return " · ".join(found[script] for script in _SCRIPTS if script in found)
