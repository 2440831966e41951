"""The rows, made by the server: the same on every run, and of a realistic variety.

What a column holds follows from its field. Keys count from 1, timestamps and texts are unique,
foreign keys refer to a few hundred owners, and three in ten values of nullable columns are NULL.
"""

from django.db import connection, models

from benches.tables.models import Columns32, Narrow, Owner, Text, Wide

OWNERS = 300
ROWS = {Owner: OWNERS, Narrow: 1_000_000, Wide: 200_000, Text: 100_000, Columns32: 100_000}

_WORDS = "amber bridge cedar dune ember fjord grove harbour island jasmine Łódź meadow naïve Ōsaka"
_WORD = f"(ARRAY{_WORDS.split()})[1 + floor(random() * {len(_WORDS.split())})::int]"
_PHRASE = f"{_WORD} || ' ' || {_WORD} || ' ' || n"


def fill(model: type[models.Model]) -> None:
    """Fill a table and those that it refers to, unless they are full."""
    for field in model._meta.concrete_fields:
        if field.related_model:
            fill(field.related_model)
    columns = {field.column: _value(field) for field in model._meta.concrete_fields}
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT FROM {table})")
        if cursor.fetchone()[0]:
            return
        cursor.execute("SELECT setseed(0.5)")
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) "
            f"SELECT {', '.join(columns.values())} FROM generate_series(1, {ROWS[model]}) AS n"
        )
        cursor.execute(f"VACUUM (FREEZE, ANALYZE) {table}")


def use_physical_order() -> None:
    """Have every connection read a table from its beginning, so that all get the same rows."""
    with connection.cursor() as cursor:
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        cursor.execute(f"ALTER DATABASE {name} SET synchronize_seqscans = off")
        cursor.execute("SET synchronize_seqscans = off")


def _value(field: models.Field) -> str:
    """Return the SQL of a column's value in row ``n``."""
    expression = _expression(field)
    return f"CASE WHEN random() < 0.7 THEN {expression} END" if field.null else expression


def _expression(field: models.Field) -> str:
    match field:
        case models.AutoField():
            return "n"
        case models.ForeignKey():
            return f"1 + floor(random() * {OWNERS})::int"
        case models.BooleanField():
            return "random() < 0.7"
        case models.SmallIntegerField():
            return "floor(random() * 100)::smallint"
        case models.BigIntegerField():
            return "floor(random() * 1e12)::bigint"
        case models.IntegerField():
            return "floor(random() * 1e6)::int"
        case models.FloatField():
            return "random() * 100"
        case models.DecimalField():
            return "round((random() * 1000)::numeric, 2)"
        case models.DateTimeField():
            return "timestamptz '2020-01-01 00:00Z' + n * interval '97.001371 seconds'"
        case models.DateField():
            return "date '2020-01-01' + floor(random() * 2000)::int"
        case models.TimeField():
            return "time '08:00' + floor(random() * 600) * interval '1 minute'"
        case models.UUIDField():
            return "md5(n::text)::uuid"
        case models.JSONField():
            return (
                f"jsonb_build_object('colour', {_WORD}, 'fragile', random() < 0.5, "
                "'weight', floor(random() * 100))"
            )
        case models.EmailField():
            return "'somebody.' || n || '@example.org'"
        case models.SlugField():
            return f"replace(lower({_PHRASE}), ' ', '-')"
        case models.CharField() | models.TextField() if (field.max_length or 0) > 100:
            length = field.max_length
            return f"left(repeat({_PHRASE} || ', ', {length // 10}), {length} - n % {length // 2})"
        case models.CharField() if field.max_length <= 20:
            return f"left(md5(n::text), {field.max_length // 2})"
        case models.CharField() | models.TextField():
            return _PHRASE
    raise NotImplementedError(f"No values for a {type(field).__name__}")
