"""The names of other packages that turbo-orm uses without having been promised any of them.

Names with a leading underscore, and what is public and undocumented: Django, asgiref, psycopg,
psycopg_pool and django-async-backend may drop or change them with any release, which is why
``pyproject.toml`` has upper bounds. The tests look each of them up, and say which rooms need one
that is gone; **required_names** looks when Django starts. The table in ``docs/architecture.md`` is
written from them by ``make private-api``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, NamedTuple

# The packages whose distributions have other names.
_DISTRIBUTIONS = {
    "debug_toolbar": "django-debug-toolbar",
    "pghistory": "django-pghistory",
    "pgtrigger": "django-pgtrigger",
    "silk": "django-silk",
    "django_async_backend": "django-async-backend",
    "psycopg_pool": "psycopg-pool",
}
_ANY = ((0, 0), (99, 0))


class PrivateName(NamedTuple):
    """A name that a module or class of another package has."""

    #: The module, or ``"module:class"``.
    owner: str
    name: str
    #: The rooms of turbo-orm that use it.
    used_by: tuple[str, ...]
    #: The first version of the package that has it, and the first that has not, of those that
    #: turbo-orm supports.
    since: tuple[int, int] = _ANY[0]
    until: tuple[int, int] = _ANY[1]
    #: Whether the owner's code stores it on instances, so that the owner itself has no such name.
    is_stored: bool = False
    #: Whether turbo-orm works without it, but for a patch that is left out.
    is_optional: bool = False

    @property
    def path(self) -> str:
        return f"{self.owner}.{self.name}".replace(":", ".")

    @property
    def distribution(self) -> str:
        """What pip calls the package."""
        package = self.owner.partition(":")[0].partition(".")[0]
        return _DISTRIBUTIONS.get(package, package)

    @property
    def is_expected(self) -> bool:
        """Whether the version that is installed is one that has it."""
        if (self.since, self.until) == _ANY:
            return True
        major, minor, *_ = version(self.distribution).split(".")
        return self.since <= (int(major), int(minor)) < self.until


def _names(
    owner: str,
    names: str,
    used_by: str,
    since: tuple[int, int] = _ANY[0],
    until: tuple[int, int] = _ANY[1],
    is_stored: bool = False,
    is_optional: bool = False,
) -> Iterator[PrivateName]:
    rooms = tuple(used_by.split())
    for name in names.split():
        yield PrivateName(owner, name, rooms, since, until, is_stored, is_optional)


def _stored(
    owner: str, names: str, used_by: str, since: tuple[int, int] = _ANY[0]
) -> Iterator[PrivateName]:
    return _names(owner, names, used_by, since, is_stored=True)


_NOT_NEEDED: dict[str, Any] = {"is_stored": True, "is_optional": True}
_QUERYSET = "django.db.models.query:QuerySet"
_RAW = "django.db.models.query:RawQuerySet"
_MODEL = "django.db.models.base:Model"
_OPTIONS = "django.db.models.options:Options"
_QUERY = "django.db.models.sql.query:Query"
_COMPILER = "django.db.models.sql.compiler:SQLCompiler"
_INSERT = "django.db.models.sql.compiler:SQLInsertCompiler"
_ON_POSTGRESQL = "django.db.backends.postgresql"
_POSTGIS = "django.contrib.gis.db.backends.postgis.base"
_DESCRIPTORS = "django.db.models.fields.related_descriptors"
_DISPATCHER = "django.dispatch.dispatcher"
_POOL = "psycopg_pool:AsyncConnectionPool"
_CURSOR = "psycopg:AsyncCursor"
_CONNECTION = "psycopg:AsyncConnection"
_WRAPPER = "django_async_backend.db.backends.postgresql.async_base:AsyncDatabaseWrapper"

NAMES: tuple[PrivateName, ...] = (
    # Querysets and managers
    *_names(_QUERYSET, "_fetch_all", "orm patches"),
    *_names(_QUERYSET, "_earliest _extract_model_params _iterator", "orm"),
    *_names(_QUERYSET, "_add_hints _clone _prefetch_related_objects query", "orm"),
    *_names(_QUERYSET, "_chain", "orm query_cache"),
    *_names(_DESCRIPTORS, "_filter_prefetch_queryset", "orm"),
    *_names(_QUERYSET, "_annotate", "query_cache"),
    *_names(_QUERYSET, "_next_is_sticky", "orm query_cache"),
    *_names(_QUERYSET, "_prepare_for_bulk_create", "orm", since=(6, 0)),
    *_names(_QUERYSET, "_batched_insert _insert", "orm"),
    *_names(_QUERYSET, "_avoid_cloning", "query_cache", since=(6, 1)),
    *_stored(
        _QUERYSET,
        "_db _defer_next_filter _deferred_filter _fields _for_write _hints _query _sticky_filter",
        "orm",
    ),
    *_stored(_QUERYSET, "_iterable_class", "execution explain hydration orm"),
    *_stored(_QUERYSET, "_known_related_objects", "execution hydration orm"),
    *_stored(_QUERYSET, "_prefetch_related_lookups", "execution orm"),
    *_stored(_QUERYSET, "_result_cache", "execution orm patches query_cache"),
    *_stored(_QUERYSET, "_cloning_enabled", "orm", since=(6, 1)),
    *_stored(_QUERYSET, "_fetch_mode", "hydration orm query_cache", since=(6, 1)),
    *_names(_RAW, "columns model_fields resolve_model_init_order", "hydration"),
    *_names(_RAW, "_fetch_all", "orm query_cache"),
    *_names("django.db.models.sql.query:RawQuery", "_execute_query", "execution query_cache"),
    *_names("django.db.models.sql.query:RawQuery", "get_columns", "query_cache"),
    *_stored(_RAW, "_db _prefetch_done _prefetch_related_lookups _result_cache", "orm"),
    *_stored("django.db.models.sql.query:RawQuery", "cursor", "execution"),
    *_names(
        "django.db.models.query",
        "FlatValuesListIterable ModelIterable NamedValuesListIterable ValuesIterable "
        "ValuesListIterable",
        "hydration",
    ),
    *_names("django.db.models.query", "RawModelIterable", "execution"),
    *_stored(
        "django.db.models.query:BaseIterable", "chunk_size chunked_fetch queryset", "execution"
    ),
    *_names("django.db.models.query", "MAX_GET_RESULTS", "orm"),
    *_names("django.db.models:Manager", "_queryset_class _set_creation_counter", "orm"),
    *_stored("django.db.models.query", "_built_with_as_manager _prefetched_objects_cache", "orm"),
    # Models, their options, instances and fields
    *_names(_MODEL, "_do_insert", "query_cache"),
    *_names(_MODEL, "_save_parents _save_table", "orm query_cache"),
    *_names(_MODEL, "_get_pk_val", "backend orm query_cache"),
    *_names(_MODEL, "_set_pk_val", "backend query_cache"),
    *_stored(_MODEL, "_prefetched_objects_cache", "orm"),
    *_names(_MODEL, "_is_pk_set _prepare_related_fields_for_save", "backend orm query_cache"),
    *_names(_MODEL, "_assign_returned_values", "query_cache", since=(6, 0)),
    *_names(_OPTIONS, "_forward_fields_map", "orm query_cache"),
    *_names(_OPTIONS, "_non_pk_concrete_field_names", "orm"),
    *_names("django.db.models.base", "ModelState", "hydration patches"),
    *_names("django.db.models.base:ModelState", "__del__", "patches", since=(6, 1)),
    *_names("django.db.models.query", "prefetch_related_objects", "bridge execution orm"),
    *_names(
        "django.db.models.query",
        "get_prefetcher normalize_prefetch_lookups prefetch_one_level",
        "orm",
    ),
    *_names("django.db.models.query", "_get_from_db", "hydration", since=(6, 1)),
    # Those of managers that Django makes a class of for each relation
    *_stored(
        _DESCRIPTORS,
        "_add_items _apply_rel_filters _check_fk_val _get_target_ids _remove_prefetched_objects "
        "prefetch_cache_name query_field_name related_val source_field source_field_name "
        "target_field target_field_name",
        "orm",
    ),
    *_names("django.db.models.fields.files", "FileDescriptor ImageFileDescriptor", "hydration"),
    *_names("django.db.models.fields.mixins:FieldCacheMixin", "cache_name", "hydration orm"),
    *_names("django.db.models.fields.mixins:FieldCacheMixin", "set_cached_value", "hydration"),
    *_names(_DESCRIPTORS, "ForeignKeyDeferredAttribute", "codecs hydration orm"),
    *_names(
        _DESCRIPTORS,
        "ForwardManyToOneDescriptor ForwardOneToOneDescriptor",
        "hydration orm",
    ),
    *_names(
        _DESCRIPTORS,
        "ManyToManyDescriptor ReverseManyToOneDescriptor ReverseOneToOneDescriptor",
        "hydration orm",
    ),
    *_names("django.db.models.query_utils", "DeferredAttribute", "codecs hydration orm"),
    *_names("django.db.models.fields.tuple_lookups", "TupleIn", "query_cache"),
    *_names(
        "django.db.models.query_utils:RegisterLookupMixin",
        "_clear_cached_class_lookups _unregister_lookup",
        "patches",
    ),
    *_names("django.db.models.utils", "create_namedtuple_class", "hydration"),
    *_names("django.db.models.deletion", "Collector", "orm"),
    # Expressions, queries and compilers
    *_stored("django.utils.deconstruct", "_constructor_args", "query_cache"),
    *_names("django.db.models.expressions", "ColPairs", "hydration query_cache"),
    *_names("django.db.models.expressions", "DatabaseDefault", "backend"),
    *_names("django.db.models.expressions:Subquery", "template", "patches query_cache"),
    *_names("django.db.models.expressions:BaseExpression", "convert_value", "hydration"),
    *_names("django.db.models.expressions:BaseExpression", "_output_field_or_none", "query_cache"),
    *_names(
        _QUERY,
        "build_filter build_lookup names_to_path split_exclude try_transform",
        "query_cache",
    ),
    *_names(_QUERY, "add_extra add_q clear_ordering resolve_ref", "query_cache"),
    *_names(_QUERY, "chain count_active_tables", "orm"),
    *_names(_QUERY, "clone", "patches"),
    *_names(_QUERY, "exists subquery", "query_cache"),
    *_names(_QUERY, "get_compiler", "execution orm"),
    *_names(_QUERY, "annotation_select", "hydration query_cache"),
    *_names(_QUERY, "extra_select values_select", "hydration"),
    *_names(_QUERY, "default_cols select", "query_cache"),
    *_names(_QUERY, "add_filtered_relation get_initial_alias get_meta setup_joins", "query_cache"),
    *_stored("django.db.models.sql.subqueries:AggregateQuery", "inner_query", "query_cache"),
    *_stored(
        "django.db.models.query_utils:FilteredRelation", "condition relation_name", "query_cache"
    ),
    *_names("django.db.models.query_utils:FilteredRelation", "clone", "query_cache"),
    *_names(_QUERY, "high_mark low_mark", "execution"),
    *_names(_COMPILER, "execute_sql", "execution explain hydration query_cache"),
    *_names(_COMPILER, "has_composite_fields", "hydration"),
    *_names(_COMPILER, "results_iter", "hydration"),
    *_names(_COMPILER, "get_converters", "hydration"),
    *_stored(_COMPILER, "annotation_col_map klass_info select", "hydration"),
    *_names(_INSERT, "as_sql assemble_as_sql pre_save_val prepare_value", "backend"),
    # Connections
    *_names("django.db.backends.base.base", "NO_DB_ALIAS", "backends driver"),
    *_names("django.utils.asyncio", "get_running_loop", "patches"),
    *_names(
        f"{_ON_POSTGRESQL}.base:DatabaseWrapper",
        "_close _commit _prepare_cursor _rollback _set_autocommit",
        "backend",
    ),
    *_names(f"{_ON_POSTGRESQL}.base", "CursorMixin", "backend"),
    *_names(f"{_ON_POSTGRESQL}.compiler", "InsertUnnest", "backend"),
    *_names(f"{_ON_POSTGRESQL}.operations:DatabaseOperations", "bulk_batch_size", "orm"),
    *_names(f"{_ON_POSTGRESQL}.operations:DatabaseOperations", "compiler", "backend query_cache"),
    *_names(f"{_ON_POSTGRESQL}.psycopg_any", "BaseTzLoader", "codecs"),
    *_names(f"{_ON_POSTGRESQL}.psycopg_any", "IsolationLevel", "backend"),
    *_names("django.db.utils", "ConnectionHandler load_backend", "backend"),
    *_stored("django.db.utils:ConnectionHandler", "_connections", "backend"),
    *_names("django.db.utils", "DatabaseErrorWrapper", "driver"),
    *_names(
        "django.contrib.postgres.signals",
        "get_citext_oids get_hstore_oids register_type_handlers",
        "driver",
    ),
    *_names(f"{_POSTGIS}:DatabaseWrapper", "_type_infos", "backends"),
    *_names(_POSTGIS, "postgis_adapters", "backends"),
    *_stored("django.db.transaction:Atomic", "_from_testcase", "backend patches"),
    *_names("django.test.testcases", "_DatabaseFailure", "backend"),
    # Signals, requests, and calls of sync_to_async()
    *_stored("asgiref.sync:AsyncToSync", "awaitable", "backend"),
    *_names("asgiref.sync:SyncToAsync", "threadlocal", "backend"),
    *_stored("asgiref.sync:SyncToAsync", "_thread_sensitive func", "explain"),
    *_names(_DISPATCHER, "asyncio", "patches", until=(6, 1)),
    *_names(_DISPATCHER, "_run_parallel", "patches", since=(6, 1), is_optional=True),
    *_stored("django.dispatch.dispatcher:Signal", "receivers", "driver query_cache"),
    *_names("django.dispatch.dispatcher:Signal", "_live_receivers", "explain handlers"),
    *_names("asgiref.sync:SyncToAsync", "context_to_thread_executor", "handlers"),
    *_names("asgiref.sync:SyncToAsync", "thread_sensitive_context", "handlers"),
    *_names("asgiref.sync:AsyncToSync", "executors", "handlers"),
    # What is not there has attributes looked for as ever.
    *_names("asgiref.local:_DefaultLocal", "_storage", "handlers", **_NOT_NEEDED),
    *_names("asgiref.local:_CVar", "_data", "handlers", **_NOT_NEEDED),
    *_names("django.urls.base", "_prefixes", "handlers"),
    *_names("django.urls.base", "_urlconfs", "patches"),
    *_names("django.core.handlers.base", "set_urlconf", "patches"),
    *_names("django.core.handlers.base:BaseHandler", "resolve_request", "handlers"),
    *_names("django.utils.functional:LazyObject", "_wrapped", "patches"),
    *_stored("django.utils.functional:SimpleLazyObject", "_setupfunc", "handlers patches"),
    *_stored("django.utils.connection:BaseConnectionHandler", "_connections", "handlers"),
    *_names("django.http.request", "host_validation_re", "patches"),
    *_names("django.core.handlers.base:BaseHandler", "check_response", "handlers"),
    *_names("django.core.handlers.asgi", "ThreadSensitiveContext", "patches"),
    *_stored("django.contrib.messages.middleware:MessageMiddleware", "_messages", "handlers"),
    *_names("django.contrib.messages.middleware", "default_storage", "handlers"),
    *_names("django.core.handlers.base:BaseHandler", "make_view_atomic", "handlers patches"),
    *_names("django.core.handlers.base:BaseHandler", "_exception_middleware", "explain handlers"),
    *_names(
        "django.core.handlers.base:BaseHandler",
        "adapt_method_mode load_middleware get_response_async",
        "handlers",
    ),
    *_names(
        "django.core.handlers.asgi:ASGIHandler",
        "create_request handle listen_for_disconnect read_body run_get_response send_response",
        "handlers",
    ),
    *_stored("django.core.handlers.asgi:ASGIRequest", "_files _stream", "handlers"),
    *_stored("django.http.response:HttpResponseBase", "_resource_closers", "explain handlers"),
    *_stored("django.template.response:TemplateResponse", "_request", "explain"),
    *_stored("django.utils.log", "_has_been_logged", "handlers"),
    *_stored("tempfile:SpooledTemporaryFile", "_rolled", "handlers"),
    *_names("django.core.handlers.base", "iscoroutinefunction", "handlers patches"),
    *_stored("django.utils.datastructures:CaseInsensitiveMapping", "_store", "handlers patches"),
    *_stored("django.http.response:StreamingHttpResponse", "_iterator", "handlers"),
    *_names("django.http.response:ResponseHeaders", "_convert_to_charset", "patches"),
    *_stored("django.utils.deprecation:MiddlewareMixin", "async_mode", "handlers"),
    *_names("django.utils.deprecation:MiddlewareMixin", "__acall__", "handlers"),
    *_stored("django.db.transaction", "_non_atomic_requests", "patches"),
    *(
        PrivateName(module, "sync_to_async", ("bridge", "patches"))
        for module in (
            "django.db.models.base",
            "django.db.models.fields.related_descriptors",
            "django.db.models.query",
            "django.contrib.contenttypes.fields",
            "django.contrib.auth.backends",
            "django.contrib.auth.decorators",
            "django.contrib.sessions.backends.base",
            "django.contrib.sessions.backends.db",
            "django.core.cache.backends.base",
            "django.core.handlers.base",
            "django.core.handlers.exception",
            "django.dispatch.dispatcher",
            "django.utils.deprecation",
        )
    ),
    *_names(
        "django.contrib.contenttypes.models:ContentTypeManager",
        "_get_from_cache _get_opts",
        "query_cache",
    ),
    *_names("django.contrib.contenttypes.models:ContentTypeManager", "_add_to_cache", "backend"),
    *_stored(
        "django.contrib.contenttypes.models:ContentTypeManager", "_cache", "backend query_cache"
    ),
    *_names(
        "django.contrib.contenttypes.fields:GenericRelation", "get_extra_restriction", "patches"
    ),
    *_names("django.core.paginator", "sync_to_async", "patches", since=(6, 0)),
    # django-async-backend
    *_names(
        _WRAPPER,
        "_close _commit _configure_timezone _rollback _set_autocommit create_cursor",
        "backend",
    ),
    *_names(_WRAPPER, "_configure_connection _connection_pools", "backend backends"),
    *_names("django_async_backend.db:async_connections", "_connections", "backend"),
    *_names(
        "django_async_backend.db.backends.base.base", "RAN_DB_VERSION_CHECK", "backend driver"
    ),
    # psycopg and its pool
    *_stored(_CONNECTION, "_adapters _prepared", "backend"),
    *_stored(_CONNECTION, "_autocommit", "backend driver execution"),
    *_stored(_CONNECTION, "_notice_handlers _notify_handlers _pipeline lock", "driver"),
    *_names(_CONNECTION, "_get_tx_start_command _should_cancel wait", "driver"),
    *_names(_CURSOR, "_check_result_for_fetch", "execution"),
    *_names(_CURSOR, "_check_results", "backend driver execution"),
    *_names(_CURSOR, "_close _stream_fetchone_gen _stream_send_gen", "backend"),
    *_stored("psycopg:AsyncServerCursor", "_described", "backend"),
    *_names("psycopg.generators", "execute", "backend execution"),
    *_names("psycopg", "waiting", "driver"),
    *_names("psycopg", "capabilities", "backend driver"),
    *_names("psycopg.adapt:Transformer", "as_literal", "codecs"),
    *_names("psycopg.adapt:Transformer", "load_rows set_pgresult", "execution"),
    *_stored("psycopg.adapt:AdaptersMap", "_dumpers", "codecs"),
    *_stored("psycopg.adapt:AdaptersMap", "_loaders", "hydration"),
    *_stored("psycopg.types.array:ArrayLoader", "base_oid delimiter", "codecs"),
    *_names("psycopg.types.json:JsonLoader", "_loads", "codecs"),
    *_stored("psycopg.types.range:RangeLoader", "subtype_oid", "codecs"),
    *_stored(
        _POOL,
        "_check _closed _lock _nconns_min _pool _pool_full_event _reset _sched_runner _stats "
        "_waiting _workers",
        "driver",
    ),
    *_names(_POOL, "_add_to_pool _check_open _connect", "backends"),
    *_stored(_POOL, "_nconns", "backends"),
    *_stored(_POOL, "_drained_at", "driver", since=(3, 3)),
    *_stored("psycopg_pool.base", "_created_at", "driver", since=(3, 3)),
    *_stored("psycopg_pool.base", "_expire_at", "driver"),
    # django-debug-toolbar
    *_names(
        "debug_toolbar.panels.sql:SQLPanel", "aenable_instrumentation", "patches", is_optional=True
    ),
    *_names("debug_toolbar.utils", "_stack_frames", "patches", is_optional=True),
    *_names("debug_toolbar.panels.sql.tracking", "wrap_cursor", "patches", is_optional=True),
    PrivateName(
        "debug_toolbar.panels.sql.tracking",
        "_djdt_logger",
        ("patches",),
        is_stored=True,
        is_optional=True,
    ),
    # django-pghistory and django-pgtrigger
    *_names("pghistory.runtime", "_tracker", "patches", is_optional=True),
    *_names(
        "pgtrigger.runtime",
        "_can_inject_variable _execute_wrapper _ignore _inject_pgtrigger_ignore _query_to_str "
        "_schema _set_ignore_session_state",
        "patches",
        is_optional=True,
    ),
    # django-silk
    *_names("silk.collector", "local", "patches", is_optional=True),
)
