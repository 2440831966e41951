"""Which native encoder writes the values of a Python class, instead of psycopg's default dumper.

The one table of this, for **encoders** (arrays of a field's values) and **literals** (values in
SQL); **fields** has the one of Django's fields. A native encoder writes what psycopg's default
dumper writes, so it is used only while exactly that dumper is registered on a connection.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import postgres
from psycopg.adapt import AdaptersMap, PyFormat
from psycopg.types.json import Jsonb
from psycopg.types.numeric import Int2, Int4, Int8

#: By the name of a native encoder, the classes of the values that Django passes to psycopg for
#: what it writes. Of the encoders of one class, the last has the widest range.
DUMPED_CLASSES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "date": (date,),
    "float": (float,),
    "int2": (int, Int2),
    "int4": (int, Int4),
    "int8": (int, Int8),
    "interval": (timedelta,),
    "jsonb": (Jsonb,),
    "numeric": (Decimal,),
    "text": (str,),
    "time": (time,),
    "timestamp": (datetime,),
    "timestamptz": (datetime,),
    "uuid": (UUID,),
}

#: The encoders of values that are equal in Python exactly where they are equal in PostgreSQL.
SAME_EQUALITY = frozenset({"int2", "int4", "int8", "text", "uuid"})


def _default_dumpers() -> dict[type, Any]:
    """Return the dumpers that psycopg itself registers, by class."""
    adapters = AdaptersMap(types=postgres.types)
    postgres.register_default_adapters(adapters)
    classes = [each for classes in DUMPED_CLASSES.values() for each in classes]
    return {each: adapters.get_dumper(each, PyFormat.TEXT) for each in (list, *classes)}


#: By class, psycopg's default dumper of its values to text: also of the lists that become arrays.
DEFAULT_DUMPERS = _default_dumpers()


def has_default_dumper(adapters: AdaptersMap, class_: type) -> bool:
    """Return whether values of a class are dumped by psycopg's default dumper, and no subclass.

    That is the rule by which the core's ``Literals`` compare dumpers, too.
    """
    registered: Any = adapters.get_dumper(class_, PyFormat.TEXT)
    return registered is DEFAULT_DUMPERS[class_]
