"""An expression that keeps the server busy for a while."""

from django.db.models import CharField, Func, Value


def sleep(seconds):
    """Return an expression that is an empty text, after a while."""
    return Func(
        Value(seconds), template="pg_sleep(%(expressions)s)::text", output_field=CharField()
    )
