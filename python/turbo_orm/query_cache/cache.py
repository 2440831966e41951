"""The tree of query shapes: which chains of methods are known, and the statements learnt for them.

A shape is a chain's structure: its model, methods and lookups, and the kinds of the values. A
chain is a path from a model's root, and its values travel beside it. A step that has been taken
before costs the look-up of a child, and needs no query of Django's; one that has not is taken by
Django, which raises what it raises, and is known from then on.

Shapes are forgotten, those that were not used lately first, when there are too many of them or
they take too much memory; and all at once when something changes that SQL depends on: settings,
models, receivers of the signals of instances. A queryset that holds a forgotten one uses it on: it
is empty.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from threading import Lock
from typing import Any

from django.db.models.query import ModelIterable, QuerySet
from django.db.models.signals import post_init, pre_init

from turbo_orm.query_cache.cache_key import map_values

# How many shapes are kept, and how many bytes they may take, by estimate.
MAX_SHAPES = 5_000
MAX_BYTES = 50_000_000


# Django's own methods, whatever a class has in their place.
_DJANGOS = dict(vars(QuerySet))


class Step:
    """A call of a method that makes a queryset of another: ``filter(…)``, ``order_by(…)``."""

    __slots__ = ("args", "is_sticky", "kwargs", "name", "prepared")

    def __init__(
        self, name: str, args: Sequence[Any], kwargs: dict[str, Any], is_sticky: bool = False
    ) -> None:
        self.name = name
        #: Whether the filter after this one shares its joins, as in a related manager.
        self.is_sticky = is_sticky
        self.args = tuple(args)
        self.kwargs = kwargs
        #: What prepares each value and raises if it cannot be, or ``None``, if nothing does.
        self.prepared: Sequence[Any] | None = None

    def take(self, queryset: Any, values: Iterator[Any]) -> Any:
        """Call the method once more, with other values."""
        args, kwargs = map_values(self.args, self.kwargs, lambda _: next(values))
        if self.is_sticky:
            queryset = queryset._next_is_sticky()
        return _DJANGOS[self.name](queryset, *args, **kwargs)


class Shape:
    """A structure of querysets: a path from the root, which is a model."""

    __slots__ = (
        "__weakref__",
        "children",
        "fields",
        "is_of_values",
        "is_sticky",
        "is_used",
        "iterable_class",
        "key",
        "model",
        "ordering",
        "parent",
        "refusal",
        "size",
        "statements",
        "step",
    )

    def __init__(
        self,
        model: type,
        iterable_class: type,
        fields: Any = None,
        parent: Shape | None = None,
        key: Hashable = None,
        step: Step | None = None,
    ) -> None:
        self.model = model
        self.iterable_class = iterable_class
        self.fields = fields
        #: Whether its rows are no instances.
        self.is_of_values = iterable_class is not ModelIterable or fields is not None
        #: Whether what is called next decides what the filter after it does.
        self.is_sticky = step is not None and step.is_sticky
        self.parent = parent
        self.key = key
        self.step = step
        self.children: dict[Hashable, Shape] = {}
        #: By terminal, with whatever else decides the SQL. A text says why there is none, a
        #: number how often it was tried to learn one.
        self.statements: dict[Hashable, Any] = {}
        self.size = 0
        #: Why the step to it is Django's each time. Nothing is known of what follows it.
        self.refusal = ""
        #: Of a root, the model's.
        self.ordering: Any = None
        #: Whether it was asked for something since it was last thought of forgetting it.
        self.is_used = False

    def take(self, queryset: Any, values: Sequence[Any]) -> Any:
        """Take all steps from the root, beginning with a queryset, and return the last one."""
        remaining = iter(values)
        for shape in reversed(list(self.path())):
            if shape.step is not None:
                queryset = shape.step.take(queryset, remaining)
        return queryset

    def empty(self) -> None:
        """Know nothing of it any more."""
        self.statements.clear()
        self.children.clear()
        self.size = 0

    def path(self) -> Iterator[Shape]:
        """Yield the shape and those that it was made of, up to the root."""
        shape: Shape | None = self
        while shape is not None:
            yield shape
            shape = shape.parent


class Shapes:
    """The shapes that are known, by model."""

    def __init__(self, max_shapes: int = MAX_SHAPES, max_bytes: int = MAX_BYTES) -> None:
        self.max_shapes = max_shapes
        self.max_bytes = max_bytes
        self.bytes = 0
        self.roots: dict[type, Shape] = {}
        # Those that were unused when they were looked at come first.
        self._known: OrderedDict[Shape, None] = OrderedDict()
        self._lock = Lock()
        self.receivers: tuple[list[Any], list[Any]] = ([], [])

    def __len__(self) -> int:
        return len(self._known)

    def root(self, model: type) -> Shape:
        """Return the shape of all objects of a model."""
        root = self.roots.get(model)
        if root is None or root.ordering is not model._meta.ordering:  # type: ignore[attr-defined]
            return self._new_root(model)
        return root

    def _new_root(self, model: Any) -> Shape:
        with self._lock:
            root = self.roots.get(model)
            if root is None or root.ordering is not model._meta.ordering:
                root = self.roots[model] = Shape(model, ModelIterable)
                root.ordering = model._meta.ordering
                self._keep(root, 500)
            return root

    def forget_receivers(self) -> None:
        """Forget all, since others than the ``receivers`` are told of instances by now.

        Whether somebody has to be told when an instance is filled is part of a statement.
        """
        with self._lock:
            self._clear()
            self.receivers = (list(pre_init.receivers), list(post_init.receivers))

    def add(
        self, parent: Shape, key: Hashable, step: Step | None, iterable_class: type, fields: Any
    ) -> Shape:
        """Make a step known and return the shape that it leads to."""
        with self._lock:
            # Another thread may have been faster: then that one's is the shape.
            child = parent.children.get(key)
            if child is None:
                child = Shape(parent.model, iterable_class, fields, parent, key, step)
                parent.children[key] = child
                self._keep(child, 1_500)
            return child

    def refuse(self, parent: Shape, key: Hashable, refusal: str) -> None:
        """Leave a step to Django from now on."""
        self.add(parent, key, None, ModelIterable, None).refusal = refusal

    def learnt(self, shape: Shape, key: Hashable, statement: Any) -> None:
        """Make a statement known, or why there is none."""
        with self._lock:
            size = _size(statement) - _size(shape.statements.get(key))
            shape.statements[key] = statement
            self._keep(shape, size)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        # A queryset may hold one of them.
        for shape in self._known:
            shape.empty()
        self.roots.clear()
        self._known.clear()
        self.bytes = 0

    def _keep(self, shape: Shape, size: int) -> None:
        shape.size += size
        self.bytes += size
        self._known[shape] = None
        spared = 0
        while len(self._known) > self.max_shapes or self.bytes > self.max_bytes:
            if spared > 2 * len(self._known):
                # The newest and those that it was made of take all there is.
                self._clear()
                return
            oldest, _ = self._known.popitem(last=False)
            # What others were made of is unused, and not useless. Each is spared once.
            if oldest.children or oldest.is_used or oldest is shape:
                oldest.is_used = False
                self._known[oldest] = None
                spared += 1
            else:
                self._forget(oldest)
                spared = 0

    def _forget(self, shape: Shape) -> None:
        """Forget a shape that no other was made of."""
        self.bytes -= shape.size
        shape.empty()
        parent = shape.parent
        # One that was forgotten, and is used still, may have been replaced.
        if parent is None:
            if self.roots.get(shape.model) is shape:
                del self.roots[shape.model]
        elif parent.children.get(shape.key) is shape:
            del parent.children[shape.key]


def _size(statement: Any) -> int:
    """Return how many bytes a statement takes, or why there is none, or how often it was tried."""
    if isinstance(statement, int | None):
        return 0
    size: int = 100 if isinstance(statement, str) else statement.size
    return size


shapes = Shapes()


def forget_all(**kwargs: Any) -> None:
    """Forget all shapes. Receives the signals after which SQL may be another."""
    shapes.clear()


def forgetting(clear_cached_class_lookups: Any) -> Any:
    """Return Django's classmethod, called where a class gets or loses a lookup, to forget all."""

    def clear(owner: type) -> None:
        clear_cached_class_lookups.__func__(owner)
        shapes.clear()

    return classmethod(clear)


type Structure = Callable[[Sequence[Any], dict[str, Any]], tuple[Hashable, list[Any]]]
