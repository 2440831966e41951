"""Django's ORM reading lists: querysets of one of a model's managers."""

from django.db.models import Model

from benches.contenders import django
from benches.lists.contenders.reader import Query, Reader
from benches.lists.shape import Shape


class Orm(Reader, django.DjangoOrm):
    """A queryset, made for each query."""

    def query(self, model: type[Model], shape: Shape, rows: int) -> Query:
        objects, queryset = self.objects(model), shape.queryset
        listed = self.iterated if shape.is_iterated else self.listed
        return lambda: listed(queryset(objects)[:rows])


class DjangoSync(Orm, django.DjangoSync):
    pass


class DjangoAsync(Orm, django.DjangoAsync):
    pass


class Backend(Orm, django.Backend):
    pass


class TurboSync(Orm, django.TurboSync):
    pass


class Turbo(Orm, django.Turbo):
    pass


DJANGO_SYNC, DJANGO_ASYNC, BACKEND = DjangoSync(), DjangoAsync(), Backend()
TURBO_SYNC, TURBO = TurboSync(), Turbo()
