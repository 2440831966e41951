"""The names of the contenders, as records, reports and plots have them."""

DJANGO_SYNC = "Django sync"
DJANGO_ASYNC = "Django async"
BACKEND = "django-async-backend"
YARA = "yara-orm"
TORTOISE = "Tortoise"
SQLALCHEMY = "SQLAlchemy"
PICCOLO = "Piccolo"
PSYCOPG = "psycopg"
PSYCOPG_ON_UVLOOP = "psycopg, uvloop"
# The rows are received, and nothing is made of them.
PSYCOPG_RECEIVED = "psycopg, received"
PSYCOPG_ORJSON = "psycopg, orjson"
ASYNCPG = "asyncpg"
TURBO = "turbo-orm"
TURBO_SYNC = "turbo-orm sync"
TURBO_ON_UVLOOP = "turbo-orm, uvloop"
TURBO_ALONE = "turbo-orm, MULTIPLEX 0"
TURBO_MULTIPLEX = "turbo-orm, MULTIPLEX 2"
TURBO_PIPELINE = "turbo-orm, async_pipeline"

# From stored results, without a connection's way to fetch them.
DJANGO = "Django"

# Of bulk writes.
COPY = "COPY"
DJANGO_ON_THE_BRIDGE = "Django on the bridge"

# Behind a server. ``Django a*`` is Django's own async methods.
TURBO_PATCHED = "turbo-orm, patched"
TURBO_HANDLER = "turbo-orm, its handler"
TURBO_SYNC_VIEWS = "turbo-orm, sync views"
DJANGO_1000_THREADS = "Django sync, 1,000 threads"
DJANGO_THREADS = "Django a*"
DJANGO_ONE_THREAD = "Django a*, one thread"
DJANGO_NO_POOL = "Django a*, no pool"
