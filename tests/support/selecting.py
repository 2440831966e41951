"""A queryset for one value: what an SQL expression yields, read as a field of Django."""

from django.db.models.expressions import RawSQL

from tests.library.models import Author


def selected(expression, field):
    """Return a queryset of one row that selects an expression of SQL."""
    raw = RawSQL(expression, [], output_field=field)
    return Author.objects.filter(name="Ada").annotate(x=raw).values_list("x", flat=True)
