"""The contenders by name. Each has a module, which only the server that runs it imports."""

from importlib import import_module

from benches.http.contender import Contender

CONTENDERS = {
    "turbo-orm": "turbo.Turbo",
    "turbo-orm, patched": "turbo.TurboPatched",
    "Django sync": "django_sync.DjangoSync",
    "Django a*": "django_async.DjangoAsync",
    "Django a*, one thread": "django_async.DjangoAsyncOneThread",
    "Django a*, no pool": "django_async.DjangoAsyncNoPool",
    "django-async-backend": "backend.Backend",
    "psycopg": "psycopg_pool.PsycopgPool",
    "asyncpg": "asyncpg_pool.AsyncpgPool",
    "yara-orm": "yara.Yara",
    "SQLAlchemy": "sqlalchemy_orm.SqlAlchemy",
    "Tortoise": "tortoise_orm.Tortoise",
    "Piccolo": "piccolo_orm.Piccolo",
}


def contender(name: str, dsn: str, pool: int) -> Contender:
    """Return a contender that is to use so many connections."""
    module, kind = CONTENDERS[name].split(".")
    made: Contender = getattr(import_module(f"{__name__}.{module}"), kind)(dsn, pool)
    made.name = name
    return made
