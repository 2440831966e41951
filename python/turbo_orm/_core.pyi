"""Native hydration: results of the driver become model instances, dicts and tuples.

The boundary's contract: Python describes a query's rows once, as a ``Plan``; one call then turns
a whole result, or a slice of it, into a list. All references are checked when a plan is made, so
that only a value can be wrong afterwards. The exception of the driver's loader, or of a converter,
is raised with a note that names model, field, column and row; for what no server sends,
``HydrationError`` is raised.
"""

from collections.abc import Callable, Generator, Sequence
from datetime import tzinfo as TzInfo
from typing import Any, final

__all__ = [
    "Column",
    "Decoder",
    "Encoder",
    "Exchange",
    "Fit",
    "HydrationError",
    "Instance",
    "Join",
    "Literals",
    "Parameters",
    "Pipeline",
    "Plan",
    "RelatedQuerysets",
    "Reply",
    "bind_libpq",
    "on_class_modified",
    "state_deleter",
    "watch_class",
]

class HydrationError(Exception):
    """A result and the plan made for it do not fit together, or a value is malformed."""

@final
class Decoder:
    """A native reader of the values of one type, in text format or in binary.

    ``name`` is "bool", "bytea", "date", "float", "hstore", "int", "interval", "json", "jsonb",
    "numeric", "oid", "text", "time", "timestamp", "timestamptz" or "uuid"; or it is "loader", and
    the driver's loader reads every value. "int2", "int4", "int8", "float4" and "float8" are "int"
    and "float" of so many bytes in binary. "timestamptz" converts datetimes to the session's time
    ``zone`` (``None`` is UTC) and gives them ``tzinfo``.

    Raises ``HydrationError`` for a name that does not exist.
    """

    def __new__(
        cls,
        name: str,
        *,
        binary: bool = False,
        zone: TzInfo | None = None,
        tzinfo: TzInfo | None = None,
    ) -> Decoder: ...
    @staticmethod
    def array(element: Decoder, *, delimiter: int = 44, oid: int = 0) -> Decoder:
        """Make a reader of arrays, which become lists.

        In text, the elements are delimited by the byte ``delimiter``; in binary, the OID of their
        type is ``oid``.
        """
    @staticmethod
    def range(subtype: Decoder) -> Decoder:
        """Make a reader of ranges, which become psycopg's ``Range``."""
    @staticmethod
    def multirange(subtype: Decoder) -> Decoder:
        """Make a reader of multiranges, which become psycopg's ``Multirange``."""
    @property
    def name(self) -> str:
        """What is read: "int", "array of int", "loader"."""
    @property
    def binary(self) -> bool:
        """Whether values are read in binary format."""

@final
class Column:
    """How the values of one column of a result become Python values.

    ``load`` is called with the bytes of every value that the ``decoder`` declines.
    ``converters`` are Django's, each a pair of function and expression: the function is called
    with (value, expression, ``connection``), for NULL too, and the next with what it returns.
    With ``decoder_converts``, none is called for NULL and for what the decoder reads.
    """

    def __new__(
        cls,
        name: str,
        decoder: Decoder,
        load: Callable[[Any], Any],
        *,
        converters: Sequence[tuple[Callable[[Any, Any, Any], Any], Any]] = ...,
        connection: Any = None,
        decoder_converts: bool = False,
    ) -> Column: ...
    @property
    def name(self) -> str:
        """The field's attribute name, or the column's alias."""
    @property
    def decoder(self) -> Decoder:
        """The native reader."""
    @property
    def writes_json(self) -> bool:
        """Whether its values, but for unusual ones, are written as JSON natively."""

@final
class Encoder:
    """A native writer of the values that one field has in many instances.

    ``name`` is "bool", "date", "float", "int2", "int4", "int8", "interval", "jsonb", "numeric",
    "text", "time", "timestamp", "timestamptz" or "uuid". Values are written as psycopg's dumpers
    do; "interval" is not for the ``IntervalStyle`` sql_standard.

    Raises ``HydrationError`` for a name that does not exist.
    """

    def __new__(cls, name: str) -> Encoder: ...
    def array(self, rows: list[dict[str, Any]], name: str) -> str | None:
        """Write what each of ``rows`` has under ``name`` as PostgreSQL's text of an array.

        ``None`` is NULL. Returns ``None`` if a row lacks the name, or if a value is not exactly of
        the class that the encoder is for (``int`` will do for "float" and "numeric"), is out of
        its range, or may be refused by PostgreSQL or Django: a NUL character, infinity as a
        "numeric", a naive datetime as a "timestamptz".
        """
    @property
    def name(self) -> str:
        """The name that the encoder was made with."""

@final
class Literals:
    """A native writer of values into SQL, as literals like those of psycopg's client cursor.

    ``classes`` are triples: a class, the dumper of psycopg's that writes its values as the core
    does, and the name of an ``Encoder``, but for "interval" and "jsonb". "timestamptz" is for
    naive datetimes, too.

    Raises ``HydrationError`` for a name that does not exist.
    """

    def __new__(cls, classes: Sequence[tuple[type, type, str]]) -> Literals: ...
    def fill(
        self,
        between: tuple[bytes, ...],
        values: tuple[Any, ...],
        dumpers: dict[Any, Any],
        dump: Callable[[Any, Any], bytes | bytearray],
        connection: Any,
    ) -> bytes:
        """Return SQL: the pieces ``between`` the values, and these as literals. ``None`` is NULL.

        ``dumpers`` are those registered on the connection, by class. ``dump`` is called with a
        value and the ``connection``, and returns the literal of any value for whose class that is
        another dumper than the one in ``classes``, or that is not exactly of one of these, not
        ASCII, has a backslash, or has another syntax than most: infinity, an exponent, many
        digits. What it raises is raised. Raises ``HydrationError`` unless there is one more piece
        than there are values.
        """

@final
class Fit:
    """What a result has to be like for a plan: types, parameters of the session, and loaders.

    ``loaders`` are pairs of a type and its loader, ``None`` where none is registered.
    """

    def __new__(
        cls,
        types: Sequence[int],
        session: Sequence[tuple[bytes, bytes | None]],
        loaders: Sequence[tuple[int, Any]],
    ) -> Fit: ...
    def fits(self, pgconn: Any, pgresult: Any, registered: dict[int, Any]) -> bool:
        """Return whether a result is like that, and in text format.

        ``registered`` are psycopg's loaders of that format. Raises psycopg's ``OperationalError``
        for a connection that is closed, and ``HydrationError`` for a result that was cleared.
        """

@final
class Instance:
    """How one model instance is made of a row, with those that ``select_related()`` adds to it.

    ``fields`` pairs attribute names with columns, in the order in which they are stored. Without
    ``from_db``, a bare instance of ``model`` gets a bare ``state_class`` with the attributes of
    ``state``, then the fields; ``through_dict`` says to store them in its ``__dict__``, past any
    descriptor. With ``from_db``, that is called with (``db``, names, values), the values a list
    if ``values_as_list``.

    ``pk`` is the column that is NULL where there is no instance. ``related`` holds triples of
    (instance, local, remote): under which name of its ``fields_cache`` each caches the other, a
    function called with (instance, value), or ``None``. ``annotations`` pairs names with columns.
    ``peers`` is the list that gets a weak reference to each instance.
    """

    def __new__(
        cls,
        model: type,
        fields: Sequence[tuple[str, int]],
        *,
        state_class: type,
        state: Sequence[tuple[str, Any]],
        through_dict: bool = False,
        from_db: Callable[[Any, list[str], Any], Any] | None = None,
        db: str | None = None,
        values_as_list: bool = False,
        pk: int | None = None,
        related: Sequence[tuple[Instance, Any, Any]] = ...,
        annotations: Sequence[tuple[str, int]] = ...,
        peers: list[Any] | None = None,
    ) -> Instance: ...
    @property
    def direct(self) -> bool:
        """Whether instances are filled directly, without ``from_db()``."""

@final
class Join:
    """Groups related objects by key while they are made, and has each refer to its instance.

    The attribute ``name`` of a related object holds its key. With a ``cache_name``, the object
    caches the one of ``instances`` that has its key under that name, unless it has cached one
    already and ``keeps`` it. Without ``groups``, that is all, and there need not be one.
    """

    def __new__(
        cls,
        name: str,
        instances: dict[Any, Any],
        cache_name: str | None = None,
        *,
        keeps: bool = False,
        groups: bool = True,
    ) -> Join: ...
    @property
    def groups(self) -> dict[Any, list[Any]]:
        """The related objects by key: empty if they could not be joined, or there are none."""
    def give_one(
        self, instances: list[Any], name: str, cache_name: str, start: int, stop: int
    ) -> None:
        """Have instances ``start`` to ``stop`` cache their first related object, or ``None``.

        What the ``__dict__`` of an instance has under ``name`` is its key. Raises ``KeyError`` if
        it has nothing, and ``HydrationError`` if the list is shorter.
        """

@final
class Plan:
    """What a query's rows become. Frozen; made by one of its four static methods.

    ``label`` names the model in the notes of exceptions. An item of a row is the index of a
    column, or a list of them, for a composite key. Each method raises ``HydrationError`` if
    something refers to a column that ``columns`` does not have.
    """

    @staticmethod
    def instances(label: str, columns: Sequence[Column], instance: Instance) -> Plan:
        """Make a plan whose rows become model instances."""
    @staticmethod
    def tuples(
        label: str,
        columns: Sequence[Column],
        items: Sequence[int | list[int]],
        row_class: type | None = None,
    ) -> Plan:
        """Make a plan whose rows become tuples, or instances of ``row_class``, a kind of tuple."""
    @staticmethod
    def dicts(
        label: str,
        columns: Sequence[Column],
        items: Sequence[int | list[int]],
        names: Sequence[str],
    ) -> Plan:
        """Make a plan whose rows become dicts, with a name for each item."""
    @staticmethod
    def flat(label: str, columns: Sequence[Column], item: int | list[int]) -> Plan:
        """Make a plan whose rows become the value of one item."""
    @property
    def columns(self) -> list[Column]:
        """The columns, in the order of the result's."""
    def joins(self, join: Join) -> bool:
        """Whether rows become instances that are filled directly, with the attribute of the key.

        A native decoder has to read it.
        """
    @property
    def shape(self) -> str:
        """What rows become: "instances", "tuples", "named tuples", "dicts" or "flat values"."""
    @property
    def is_native(self) -> bool:
        """Whether no Python code but the driver's loaders runs when rows are hydrated."""
    def hydrate_result(
        self, pgresult: Any, start: int, stop: int, join: Join | None = None
    ) -> list[Any]:
        """Hydrate rows ``start`` to ``stop`` of a ``psycopg.pq.PGresult``.

        They are joined if ``joins()`` says so. Raises ``KeyError`` if none of the join's instances
        has the key of a row.

        Raises ``HydrationError`` if it has fewer rows or columns, another format, or a value that
        is malformed, if it is cleared, or if libpq is not bound; and whatever the driver's
        loaders, the converters or ``from_db()`` raise.
        """
    def json(
        self,
        pgresult: Any,
        start: int,
        stop: int,
        encode: Callable[[Any], str],
        members: Sequence[tuple[Any, ...]] | None = None,
    ) -> bytes:
        """Write rows ``start`` to ``stop`` of a ``psycopg.pq.PGresult`` as JSON, in ASCII.

        Joined, the parts of a result that follow on each other are the array of all its rows, as
        ``json.dumps()`` writes it with Django's ``DjangoJSONEncoder``. ``encode`` is called with
        each value that is not written natively, and returns its JSON.

        With ``members``, dicts become objects of these. A member is a name in JSON, and the name
        of a value; or members and whether the object may be null, as it is where all in it is; or
        the name of a value, the JSON of related rows by that, and whether they are an array.

        Raises what ``hydrate_result()`` raises, ``HydrationError`` for instances, for members of
        what are no dicts, and for names that the plan has not; and whatever ``encode`` raises.
        """
    def json_by_key(
        self,
        pgresult: Any,
        start: int,
        stop: int,
        encode: Callable[[Any], str],
        members: Sequence[tuple[Any, ...]],
        name: str,
        many: bool = True,
    ) -> dict[Any, str]:
        """Write rows as ``json()`` does, by the value that they have for a name.

        Rows of the same value have commas between them, and no brackets around; without ``many``,
        the first of them is written. Raises what ``json()`` raises.
        """
    def flat_by(self, name: str) -> Plan:
        """Make a plan of these rows that become the value they have for a name.

        Raises ``HydrationError`` if the plan has no such name.
        """
    @property
    def names(self) -> list[str] | None:
        """The names that dicts have, ``None`` if rows become anything else."""
    def hydrate_rows(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        """Hydrate row tuples that a cursor has loaded; only JSON is still read, from text."""

@final
class RelatedQuerysets:
    """Gives instances the querysets of their related objects, made without a call of their class.

    A bare queryset of ``class_`` gets the ``attributes``, and what is its instance's. Its
    ``_cached`` is a ``chain_class`` of ``entry`` and the ``values``, with another value behind
    them: the instance, with a ``field``, or otherwise its key. With ``deferred``, a class of
    tuples and a second item, that value is in one of these. With a ``field``, the instance is a
    known related object by it. With ``has_hints``, the hints have the instance, and what is not
    known is an empty dict of its own. With ``fetch_modes``, each instance is asked for its mode.
    """

    def __new__(
        cls,
        class_: type,
        attributes: dict[str, Any],
        chain_class: type,
        entry: Any,
        values: tuple[Any, ...],
        *,
        deferred: tuple[type, Any] | None = None,
        field: Any = None,
        has_hints: bool = False,
        fetch_modes: bool = False,
    ) -> RelatedQuerysets: ...
    def give(
        self,
        instances: list[Any],
        groups: dict[Any, list[Any]],
        name: str,
        cache_name: str,
        start: int,
        stop: int,
    ) -> None:
        """Have instances ``start`` to ``stop`` cache a queryset each, with its results.

        These are the list of ``groups`` that is of the instance's key: what its ``__dict__`` has
        under ``name``. Raises ``KeyError`` if it has nothing, and ``HydrationError`` if the list
        of instances is shorter.
        """

@final
class Parameters:
    """The values of a statement as parameters, in text.

    Each has the type that PostgreSQL gives the literal of psycopg's client cursor.
    """

    @staticmethod
    def of(
        literals: Literals,
        values: tuple[Any, ...],
        dumpers: dict[Any, Any],
        dump: Callable[[Any, Any], bytes | bytearray],
        connection: Any,
    ) -> Parameters | None:
        """Return values as parameters, or ``None`` if one has a literal of an unusual form.

        The arguments are those of ``Literals.fill()``. What ``dump`` raises is raised.
        """
    @property
    def types(self) -> bytes:
        """The types, four bytes each: equal where the types are."""
    @property
    def size(self) -> int:
        """How many bytes the texts and the types take."""
    @property
    def oids(self) -> list[int]:
        """The OIDs of the types, 0 where the statement decides."""
    @property
    def texts(self) -> list[bytes | None]:
        """The texts, ``None`` for NULL."""
    @property
    def is_ascii(self) -> bool:
        """Whether every session reads the texts as they are. If not, it has to be one of UTF-8."""

@final
class Reply:
    """A future for the results of a statement, whose task goes on in the call that brings them.

    It is one for asyncio's tasks, and belongs to ``event_loop``.
    """

    _asyncio_future_blocking: bool

    def __new__(cls, event_loop: Any) -> Reply: ...
    def __await__(self) -> Generator[Any, Any, Any]: ...
    def __iter__(self) -> Reply: ...
    def __next__(self) -> Reply: ...
    def result(self) -> Any:
        """Return the results, or raise what has come in their place."""
    def get_loop(self) -> Any:
        """Return the event loop."""
    def done(self) -> bool:
        """Return whether there are results, or an exception."""
    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
    def add_done_callback(
        self, callback: Callable[[Reply], object], *, context: Any = None
    ) -> None:
        """Have a function called when it is done."""
    def remove_done_callback(self, callback: Callable[[Reply], object]) -> int:
        """Do not call it. Return how often it would have been called."""
    def cancel(self, msg: Any = None) -> bool:
        """Have the task go on with a ``CancelledError``. Return whether it was not done before."""
    def set_result(self, results: Any) -> None:
        """Have the task go on now. To be called by the event loop, where no task runs."""
    def set_exception(self, error: BaseException) -> None:
        """Have the task go on with an exception, in the loop's next turn."""

@final
class Exchange:
    """Sends statements of a connection, and receives their results: the event loop's callback.

    ``pgconn`` is psycopg's, and ``reader`` a weak reference to what has two methods: ``go_on()``
    is called where the socket can be read and no statement runs, and ``lose(reply, results,
    is_broken)`` where the connection is lost, ``is_broken`` if that was found by reading.

    Raises psycopg's ``OperationalError`` for a connection that is closed, or cannot send.
    """

    def __new__(cls, pgconn: Any, reader: Callable[[], Any]) -> Exchange: ...
    def send(
        self,
        query: bytes,
        event_loop: Any,
        chunks: tuple[Callable[[Any], object], int] | None = None,
    ) -> Reply | None:
        """Send a statement by the simple protocol, and return the reply to it.

        ``None`` where the socket takes no more at present: the caller flushes, and receives.

        ``chunks`` are what is called with each chunk of rows, a ``PGresult``, and the number of
        rows in one: the last of the results has none then. Before libpq 17 it has all.
        """
    def send_prepared(
        self,
        name: bytes,
        parameters: Parameters,
        event_loop: Any,
        chunks: tuple[Callable[[Any], object], int] | None = None,
    ) -> Reply | None:
        """Do the same for a statement that was prepared by a name."""
    def abandon(self) -> Reply | None:
        """Forget the statement that runs, and return the reply to it.

        The caller receives the rest of its results.
        """
    def receive(self) -> None:
        """Receive what has arrived, or the next chunk of it."""
    def receive_more(self) -> None:
        """Receive the next chunk: the event loop's callback after one."""

@final
class Pipeline:
    """Sends statements of several tasks on a connection that is in pipeline mode.

    Each has a Sync of its own. ``receive()`` is the event loop's callback. ``pgconn`` is
    psycopg's, and ``owner`` a weak reference to what has ``lose(error, is_broken)``, called where
    the connection is lost, ``is_broken`` if that was found by reading, and ``receive_unasked()``,
    called where something arrives while no statement is on its way.

    With ``tells_end`` its ``end()`` is called when no statement is on its way any more.

    ``statement`` is what ``under_way()`` returns. Raises psycopg's ``OperationalError`` for a
    connection that is closed, or cannot send: of what is queued, a part may be, and the connection
    is of no more use.
    """

    def __new__(
        cls, pgconn: Any, owner: Callable[[], Any], tells_end: bool = False
    ) -> Pipeline: ...
    @property
    def completed(self) -> int:
        """How many statements are complete."""
    def __len__(self) -> int:
        """Return how many statements are on their way."""
    def send(self, query: bytes, statement: Any, event_loop: Any) -> Reply:
        """Queue a statement with literals for its values."""
    def send_prepared(
        self, name: bytes, parameters: Parameters, statement: Any, event_loop: Any
    ) -> Reply:
        """Queue a statement that was prepared by a name."""
    def prepare(
        self, name: bytes, query: bytes, parameters: Parameters, statement: Any, event_loop: Any
    ) -> Reply:
        """Queue the preparation of a statement, and its description: two results."""
    def flush(self) -> bool:
        """Send what is queued, and receive what libpq has read meanwhile.

        Return whether the socket has taken all of it.
        """
    def under_way(self) -> list[tuple[Any, Reply]]:
        """Return the statements that are on their way, with the replies to them.

        The server executes the first one.
        """
    def abandon(self) -> list[Reply]:
        """Forget all statements, and return the replies to them."""
    def receive(self) -> None:
        """Receive what has arrived, and have the tasks go on."""

def bind_libpq(functions: dict[str, int]) -> None:
    """Bind the core to the functions of psycopg's libpq, by name and address.

    Later calls do nothing. Raises ``HydrationError`` for an address that is missing, or null.
    """

def on_class_modified(function: Callable[[], None]) -> None:
    """Have a function called whenever a watched class, or a base of one, is modified.

    It must not use the class, and is called before the modification can be seen. What it raises is
    reported as unraisable. Raises ``RuntimeError`` where there is such a function already.
    """

def watch_class(class_: type) -> bool:
    """Watch a class, and return whether its next modification will be told of.

    CPython 3.13 tells of a thousand for each class.

    Of modifications that follow on each other, without an attribute of the class being looked up
    in between, only the first is told of.
    """

def state_deleter(class_: type, djangos: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a method that does what Django's does as ``__del__()`` of the class of states.

    Where a state has no ``fields_cache``, none is made to be cleared. It is ``djangos`` itself
    where it is not known how CPython keeps attributes, and if another one was given before.
    """
