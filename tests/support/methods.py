"""Each public method of Django's querysets, managers and instances, and what becomes of it here.

``make methods`` writes the tables of docs/compatibility.md from this. That it is
complete and true is what tests/orm/test_methods.py and tests/orm/test_method_calls.py are for.
"""

from typing import NamedTuple

# The core makes the rows that the method gives, in sync code and in async code.
NATIVE = "native"
# Django's own method, on the bridge in async code, and no row that it gives is the core's.
BRIDGE = "bridge"
# It sends no query.
PLAIN = "plain"
# It queries, and has no async form: the event loop refuses it. Elsewhere it is Django's own,
REFUSED = "refused"
# or gives, or works on, rows that the core makes.
REFUSED_NATIVE = "refused, else native"


class Method(NamedTuple):
    """A method by Django's sync name, and the test that compares it with Django's."""

    name: str
    how: str
    test: str
    #: What to write in a coroutine: the names of its async forms, or instead of it.
    awaited: str = ""
    since: tuple[int, int] = (0, 0)
    #: The first version that has it no more.
    until: tuple[int, int] = (99, 0)
    #: Whether managers have the method too, where it is a queryset's.
    on_managers: bool = True


def each(names: str, how: str, test: str, **marks: bool) -> list[Method]:
    """Return methods of a kind that one test proves."""
    return [Method(name, how, test, **marks) for name in names.split()]


def special(name: str, how: str, test: str, awaited: str = "") -> Method:
    return Method(name, how, test, awaited, on_managers=False)


# What works on the results that a queryset has
FETCHED = "after `alist()`"

QUERYSET = [
    *each(
        "all none filter exclude complex_filter order_by reverse distinct annotate alias extra"
        " select_related prefetch_related defer only values values_list dates datetimes"
        " union intersection difference using select_for_update",
        PLAIN,
        "test_reading.py::test_alist",
    ),
    Method("fetch_mode", PLAIN, "test_relations.py::test_fetch_modes", since=(6, 1)),
    Method("raw", PLAIN, "test_raw.py::test_raw"),
    Method("db", PLAIN, "test_manager.py::test_what_a_queryset_says_of_itself"),
    *each(
        "ordered query",
        PLAIN,
        "test_manager.py::test_what_a_queryset_says_of_itself",
        on_managers=False,
    ),
    Method(
        "totally_ordered",
        PLAIN,
        "test_manager.py::test_what_a_queryset_says_of_itself",
        since=(6, 1),
        on_managers=False,
    ),
    special("resolve_expression", PLAIN, "test_manager.py::test_a_queryset_is_an_expression"),
    special("as_manager", PLAIN, "test_manager.py::test_the_querysets_of_every_kind_of_manager"),
    special("__iter__", NATIVE, "test_reading.py::test_alist", "__aiter__ alist"),
    Method("iterator", NATIVE, "test_reading.py::test_aiterator", "aiterator"),
    Method("get", NATIVE, "test_reading.py::test_question", "aget"),
    Method("first", NATIVE, "test_reading.py::test_question", "afirst"),
    Method("last", NATIVE, "test_reading.py::test_question", "alast"),
    Method("earliest", NATIVE, "test_reading.py::test_question", "aearliest"),
    Method("latest", NATIVE, "test_reading.py::test_question", "alatest"),
    Method("in_bulk", NATIVE, "test_reading.py::test_question", "ain_bulk"),
    Method("count", BRIDGE, "test_reading.py::test_question", "acount"),
    Method("exists", BRIDGE, "test_reading.py::test_question", "aexists"),
    Method("contains", BRIDGE, "test_reading.py::test_acontains", "acontains"),
    Method("aggregate", BRIDGE, "test_reading.py::test_question", "aaggregate"),
    Method("explain", BRIDGE, "test_reading.py::test_question", "aexplain"),
    Method("create", BRIDGE, "test_creating.py::test_acreate", "acreate"),
    Method(
        "get_or_create", NATIVE, "test_get_or_create.py::test_aget_or_create", "aget_or_create"
    ),
    Method(
        "update_or_create",
        NATIVE,
        "test_get_or_create.py::test_aupdate_or_create",
        "aupdate_or_create",
    ),
    Method(
        "bulk_create",
        BRIDGE,
        "test_creating.py::test_abulk_create_returns_the_objects_with_their_keys",
        "abulk_create",
    ),
    Method("bulk_update", BRIDGE, "test_creating.py::test_abulk_update", "abulk_update"),
    Method("update", BRIDGE, "test_updating.py::test_aupdate", "aupdate"),
    Method("delete", BRIDGE, "test_deleting.py::test_adelete", "adelete", on_managers=False),
    special("__len__", REFUSED_NATIVE, "test_reading.py::test_what_evaluates_a_queryset", FETCHED),
    special(
        "__bool__", REFUSED_NATIVE, "test_reading.py::test_what_evaluates_a_queryset", FETCHED
    ),
    special(
        "__getitem__",
        REFUSED_NATIVE,
        "test_reading.py::test_what_evaluates_a_queryset",
        FETCHED,
    ),
    special(
        "__repr__", REFUSED_NATIVE, "test_reading.py::test_what_evaluates_a_queryset", FETCHED
    ),
    special(
        "__getstate__",
        REFUSED_NATIVE,
        "test_reading.py::test_what_evaluates_a_queryset",
        FETCHED,
    ),
    special("__setstate__", PLAIN, "test_reading.py::test_what_evaluates_a_queryset"),
    special("__deepcopy__", PLAIN, "test_manager.py::test_querysets_are_copied"),
    special("__and__", PLAIN, "test_manager.py::test_combined_querysets_are_asked_for"),
    special("__or__", PLAIN, "test_manager.py::test_combined_querysets_are_asked_for"),
    special("__xor__", PLAIN, "test_manager.py::test_combined_querysets_are_asked_for"),
]

RAW = [
    Method("using", PLAIN, "test_reading.py::test_raw_prefetches_and_uses_another_database"),
    Method("db", PLAIN, "test_reading.py::test_raw_prefetches_and_uses_another_database"),
    Method("prefetch_related", PLAIN, "test_raw.py::test_raw_querysets"),
    Method("model_fields", PLAIN, "test_raw.py::test_work_with_raw_querysets"),
    Method("__repr__", PLAIN, "test_raw.py::test_work_with_raw_querysets"),
    Method("__iter__", NATIVE, "test_raw.py::test_raw_querysets", "__aiter__ alist"),
    Method("iterator", REFUSED_NATIVE, "test_raw.py::test_raw_querysets", "`async for`"),
    Method("__len__", REFUSED_NATIVE, "test_raw.py::test_work_with_raw_querysets", FETCHED),
    Method("__bool__", REFUSED_NATIVE, "test_raw.py::test_work_with_raw_querysets", FETCHED),
    Method("__getitem__", REFUSED_NATIVE, "test_raw.py::test_work_with_raw_querysets", FETCHED),
    Method("columns", REFUSED, "test_raw.py::test_work_with_raw_querysets"),
    Method("resolve_model_init_order", REFUSED, "test_raw.py::test_work_with_raw_querysets"),
]

MANAGER = [
    Method(
        "get_queryset",
        PLAIN,
        "test_manager.py::test_managers_of_every_kind_of_model_are_as_djangos",
    ),
    Method(
        "from_queryset",
        PLAIN,
        "test_manager.py::test_a_manager_of_djangos_from_an_async_queryset",
    ),
    Method("db_manager", PLAIN, "test_manager.py::test_db_manager_and_using"),
    Method("deconstruct", PLAIN, "test_migrations.py::test_deconstruction_is_as_djangos"),
    Method("check", PLAIN, "test_manager.py::test_what_django_asks_of_a_manager"),
    Method("contribute_to_class", PLAIN, "test_manager.py::test_what_django_asks_of_a_manager"),
]

_QUERYSETS = "test_relations.py::test_the_querysets_of_a_prefetch"
_ANOTHER = "test_manager.py::test_another_manager_of_a_relation"
_OLD = Method(
    "get_prefetch_queryset",
    PLAIN,
    "test_relations.py::test_the_queryset_of_a_prefetch",
    until=(6, 0),
)


def _changes(tests: dict[str, str]) -> list[Method]:
    """Return the methods that change a relation, each with its test in one file."""
    return [
        Method(
            name,
            NATIVE if name.endswith("_or_create") else BRIDGE,
            f"test_related_managers.py::{test}",
            f"a{name}",
        )
        for names, test in tests.items()
        for name in names.split()
    ]


REVERSE = [
    Method("__call__", PLAIN, _ANOTHER),
    Method("get_queryset", PLAIN, "test_relations.py::test_related_managers"),
    *_changes(
        {
            "add": "test_reverse_foreign_key_aadd",
            "remove clear set": "test_reverse_foreign_key_aremove_aclear_aset",
            "create": "test_reverse_foreign_key_acreate",
            "get_or_create update_or_create": "test_reverse_foreign_key_aget_or_create",
        }
    ),
    Method("get_prefetch_querysets", REFUSED_NATIVE, _QUERYSETS, "`prefetch_related()`"),
    _OLD._replace(how=REFUSED_NATIVE, awaited="`prefetch_related()`"),
]

MANY_TO_MANY = [
    Method("__call__", PLAIN, _ANOTHER),
    Method("get_queryset", PLAIN, "test_relations.py::test_related_managers"),
    *_changes(
        {
            "add": "test_many_to_many_aadd",
            "remove clear set": "test_many_to_many_aset_aremove_aclear",
            "create": "test_many_to_many_acreate",
            "get_or_create update_or_create": "test_many_to_many_aget_or_create",
            "count exists": "test_many_to_many_count_and_exists",
        }
    ),
    Method(
        "set_base",
        REFUSED,
        "test_related_managers.py::test_many_to_many_set_base",
        "`aset()`",
        since=(6, 1),
    ),
    Method("get_prefetch_querysets", PLAIN, _QUERYSETS),
    _OLD,
    Method("get_prefetch_cache", PLAIN, "test_relations.py::test_what_a_manager_has_prefetched"),
    Method(
        "constrained_target",
        PLAIN,
        "test_related_managers.py::test_the_rows_that_many_to_many_counts_by",
    ),
]

GENERIC = [
    Method("__call__", PLAIN, _ANOTHER),
    Method("get_queryset", PLAIN, "test_relations.py::test_related_managers"),
    *_changes(
        dict.fromkeys(
            ["add", "remove", "clear", "set", "create", "get_or_create", "update_or_create"],
            "test_generic_relation",
        )
    ),
    Method("get_prefetch_querysets", PLAIN, _QUERYSETS),
    _OLD,
]

_KNOWS = "test_what_an_instance_knows_of_itself_is_asked_in_the_event_loop_too"

MODEL = [
    Method("save", BRIDGE, "test_instances.py::test_asave", "asave"),
    Method("delete", BRIDGE, "test_instances.py::test_adelete_of_an_instance", "adelete"),
    Method(
        "refresh_from_db",
        BRIDGE,
        "test_instances.py::test_arefresh_from_db",
        "arefresh_from_db",
    ),
    Method("save_base", REFUSED, "test_instances.py::test_a_parent_becomes_a_child", "`asave()`"),
    *each(
        "full_clean clean_fields validate_unique validate_constraints",
        REFUSED,
        "test_validation.py::test_validation_on_the_bridge",
    ),
    *each(
        "get_next_by_FOO get_previous_by_FOO",
        REFUSED_NATIVE,
        "test_neighbours.py::test_neighbours_by_date",
    ),
    *each(
        "get_next_in_order get_previous_in_order",
        REFUSED_NATIVE,
        "test_neighbours.py::test_neighbours_in_order",
    ),
    Method("set_RELATED_order", REFUSED, "test_neighbours.py::test_the_order_is_set"),
    Method("get_RELATED_order", PLAIN, "test_neighbours.py::test_the_order_is_a_queryset"),
    *each(
        "pk clean get_FOO_display get_deferred_fields serializable_value from_db check"
        " get_constraints unique_error_message date_error_message prepare_database_save",
        PLAIN,
        f"test_instances.py::{_KNOWS}",
    ),
]

# Attributes that are fetched where they are not there yet
ATTRIBUTES = [
    Method(
        "foreign key",
        REFUSED,
        "../hydration/test_kinds.py::test_work_with_instances_on_the_bridge",
        "`select_related()`",
    ),
    Method(
        "one-to-one relation",
        REFUSED,
        "../hydration/test_kinds.py::test_work_with_instances_on_the_bridge",
        "`select_related()`",
    ),
    Method(
        "deferred field",
        REFUSED,
        "../hydration/test_kinds.py::test_work_with_instances_on_the_bridge",
        "`arefresh_from_db()`",
    ),
    Method(
        "generic foreign key",
        REFUSED,
        "test_related_managers.py::test_the_target_of_a_generic_foreign_key_on_the_bridge",
        "`prefetch_related()`",
    ),
]

# Under the headings that they have
TABLES = {
    "QuerySet": QUERYSET,
    "RawQuerySet": RAW,
    "Manager": MANAGER,
    "Reverse foreign key": REVERSE,
    "Many to many": MANY_TO_MANY,
    "Generic relation": GENERIC,
    "Model": MODEL,
    "Attributes of instances": ATTRIBUTES,
}
