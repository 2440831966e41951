"""Rows that arrive slowly, that cannot be had, or that ask for more as they become instances."""

from django.db.models import CharField, DateTimeField, F, Func, IntegerField, Value
from django.db.models.expressions import RawSQL

from tests.library.models import Account


def accounts(count=6):
    Account.objects.bulk_create(
        Account(owner=f"{number}", balance=number) for number in range(count)
    )


def slow(seconds):
    """Return an expression that takes a while, and is too long to wait in the server's buffer."""
    return Func(
        Value(seconds),
        template="repeat('x', 20000) || pg_sleep(%(expressions)s)::text",
        output_field=CharField(),
    )


BAD_ROWS = {
    "an error of the server": F("balance") / (F("balance") - 4),
    "an error of the loader": RawSQL(
        "CASE balance WHEN 4 THEN 'infinity'::timestamptz ELSE now() END",
        [],
        output_field=DateTimeField(),
    ),
}


class Noticed(Account):
    """Asks for more, as its rows become instances."""

    class Meta:
        proxy = True
        app_label = "library"

    @classmethod
    def from_db(cls, db, field_names, values, **kwargs):
        instance = super().from_db(db, field_names, values, **kwargs)
        instance.others = Account.objects.using(db).exclude(pk=instance.pk).count()
        return instance


class Asking(IntegerField):
    """Asks for more, as its values are converted."""

    def from_db_value(self, value, expression, connection):
        return value + Account.objects.count()
