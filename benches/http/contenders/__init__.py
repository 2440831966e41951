"""The contenders by name. Each has a module, which only the server that runs it imports."""

from importlib import import_module

from benches import names
from benches.http.contender import Contender

CONTENDERS = {
    names.TURBO: "turbo.Turbo",
    names.TURBO_MULTIPLEX: "turbo.TurboMultiplex",
    names.TURBO_PATCHED: "turbo.TurboPatched",
    names.TURBO_HANDLER: "turbo.TurboHandler",
    names.TURBO_SYNC_VIEWS: "turbo.TurboSyncViews",
    names.DJANGO_SYNC: "django_sync.DjangoSync",
    names.DJANGO_1000_THREADS: "django_sync.DjangoManyThreads",
    names.DJANGO_THREADS: "django_async.DjangoAsync",
    names.DJANGO_ONE_THREAD: "django_async.DjangoAsyncOneThread",
    names.DJANGO_NO_POOL: "django_async.DjangoAsyncNoPool",
    names.BACKEND: "backend.Backend",
    names.PSYCOPG: "psycopg_pool.PsycopgPool",
    names.PSYCOPG_ORJSON: "psycopg_pool.PsycopgOrjson",
    names.ASYNCPG: "asyncpg_pool.AsyncpgPool",
    names.YARA: "yara.Yara",
    names.SQLALCHEMY: "sqlalchemy_orm.SqlAlchemy",
    names.TORTOISE: "tortoise_orm.Tortoise",
    names.PICCOLO: "piccolo_orm.Piccolo",
}


def contender(name: str, dsn: str, pool: int) -> Contender:
    """Return a contender that is to use so many connections."""
    module, kind = CONTENDERS[name].split(".")
    made: Contender = getattr(import_module(f"{__name__}.{module}"), kind)(dsn, pool)
    made.name = name
    return made
