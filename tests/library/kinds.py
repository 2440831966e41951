"""Fields that convert what is read, and models with methods where Django has its own."""

import base64
import enum
from functools import cached_property

from django.db import models

from turbo_orm import AsyncManager


class Bracketed(models.Field):
    """Converts after what comes later in the resolution order."""

    def from_db_value(self, value, expression, connection):
        return f"[{super().from_db_value(value, expression, connection)}]"


class Reversed(models.TextField):
    def from_db_value(self, value, expression, connection):
        return value if value is None else value[::-1]


class BracketedReversed(Bracketed, Reversed):
    """Converts by two methods of its classes."""


class SecretField(models.BinaryField):
    """Written and read by converters, as encrypting fields do it."""

    def get_db_prep_value(self, value, connection, prepared=False):
        if value is not None:
            value = base64.b85encode(value.encode())
        return super().get_db_prep_value(value, connection, prepared)

    def from_db_value(self, value, expression, connection):
        return value if value is None else base64.b85decode(value).decode()


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class ColourField(models.SmallIntegerField):
    def get_prep_value(self, value):
        return value.value if isinstance(value, Colour) else value

    def from_db_value(self, value, expression, connection):
        return value if value is None else Colour(value)


class TracedField(models.TextField):
    """Has several converters, which tell what they are called with."""

    def get_db_converters(self, connection):
        return [self.trace, self.count, *super().get_db_converters(connection)]

    def trace(self, value, expression, connection):
        return value, type(expression).__name__, connection.alias, connection.vendor

    def count(self, value, expression, connection):
        return len(value), value


class NamelessField(models.TextField):
    """Has a value for NULL, too."""

    def from_db_value(self, value, expression, connection):
        return "nameless" if value is None else value


class Converting(models.Model):
    both = BracketedReversed(null=True)
    secret = SecretField(null=True)
    colour = ColourField(null=True)
    traced = TracedField(null=True)
    nameless = NamelessField(null=True)

    objects = AsyncManager()


class KeyField(models.CharField):
    """A key that is never None, not even where there is no row."""

    def from_db_value(self, value, expression, connection):
        return f"key {value}"


class Keyed(models.Model):
    key = KeyField(max_length=20, primary_key=True)
    name = models.CharField(max_length=20, null=True)

    objects = AsyncManager()


class StrictField(models.CharField):
    """Does not expect NULL, which it has to where there is no row."""

    def from_db_value(self, value, expression, connection):
        return value.upper()


class Strict(models.Model):
    name = StrictField(max_length=20)

    objects = AsyncManager()


class Lock(models.Model):
    """Refers to what is there where there is nothing."""

    keyed = models.ForeignKey(
        Keyed, models.CASCADE, null=True, db_constraint=False, related_name="locks"
    )
    strict = models.ForeignKey(Strict, models.CASCADE, null=True)

    objects = AsyncManager()


# Models with something of their own


class Named(models.Model):
    name = models.CharField(max_length=50)

    objects = AsyncManager()

    class Meta:
        abstract = True


class WithSetattr(Named):
    def __setattr__(self, name, value):
        super().__setattr__(name, value.upper() if name == "name" else value)


class WithNew(Named):
    def __new__(cls, *args, **kwargs):
        instance = super().__new__(cls)
        instance.born = len(args)
        return instance


class WithGetattribute(Named):
    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        return value + "?" if name == "name" else value


class WithClassAttributes(Named):
    """What a class makes of its attributes, and of itself, is no matter of its rows."""

    registered = []

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.registered.append(cls.__name__)

    @cached_property
    def loud(self):
        return self.name.upper()

    @property
    def fixed(self):
        return self.name

    @property
    def extra(self):
        return self.__dict__["_extra"]

    @extra.setter
    def extra(self, value):
        self.__dict__["_extra"] = (value, "by a setter")


class WithParentClass(WithClassAttributes):
    class Meta:
        proxy = True


class PlainMixin:
    mixed = "in"

    def describe(self):
        return f"{self.mixed} {self.name}"


class SlottedMixin:
    __slots__ = ("note",)


class WithPlainMixin(PlainMixin, SlottedMixin, Named):
    pass


class WithRefresh(Named):
    """What is deferred is fetched by it."""

    def refresh_from_db(self, *args, **kwargs):
        super().refresh_from_db(*args, **kwargs)
        self.refreshed = kwargs.get("fields")


class ReadOnly:
    """A data descriptor, which Django stores past if it stands in the class of the field."""

    def __init__(self, field):
        self.field = field

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        return instance.__dict__[self.field.attname]

    def __set__(self, instance, value):
        if self.field.attname in instance.__dict__:
            raise AttributeError("It is set once.")
        instance.__dict__[self.field.attname] = (value, "for good")


class OnceField(models.CharField):
    descriptor_class = ReadOnly


class WithOnce(models.Model):
    name = OnceField(max_length=50)

    objects = AsyncManager()


class WithFromDbBelow(Named):
    """Related to itself, to see what ``from_db()`` gets where it is not the first."""

    parent = models.ForeignKey("self", models.CASCADE, null=True)

    @classmethod
    def from_db(cls, db, field_names, values, **kwargs):
        instance = super().from_db(db, field_names, values, **kwargs)
        instance.loaded = (db, list(field_names), type(values).__name__, list(values))
        return instance


OF_THEIR_OWN = [
    WithClassAttributes,
    WithFromDbBelow,
    WithGetattribute,
    WithNew,
    WithOnce,
    WithParentClass,
    WithPlainMixin,
    WithRefresh,
    WithSetattr,
]
