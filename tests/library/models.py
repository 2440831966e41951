"""Models of every kind: types, relations, inheritance, and all that keeps from the direct fill."""

import datetime
import uuid
from decimal import Decimal

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models

# Django looks for models in this module.
from tests.library import (  # noqa: F401
    bulk,
    catalogue,
    fields,
    kinds,
    lineage,
    options,
    saving,
)
from turbo_orm import AsyncManager, AsyncQuerySet


class Author(models.Model):
    name = models.CharField(max_length=100)
    born = models.DateField(null=True)
    friends = models.ManyToManyField("self")

    objects = AsyncManager()

    class Meta:
        ordering = ["name"]


class Profile(models.Model):
    author = models.OneToOneField(Author, models.CASCADE, related_name="profile")
    motto = models.TextField(default="")

    objects = AsyncManager()


class Tag(models.Model):
    label = models.SlugField(unique=True)

    objects = AsyncManager()


class Note(models.Model):
    text = models.TextField()
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveIntegerField()
    target = GenericForeignKey()

    objects = AsyncManager()


class Book(models.Model):
    title = models.CharField(max_length=200)
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    translator = models.ForeignKey(Author, models.SET_NULL, null=True, related_name="translated")
    tags = models.ManyToManyField(Tag, related_name="books")
    notes = GenericRelation(Note)
    pages = models.PositiveIntegerField(default=0)
    published = models.DateTimeField(null=True)

    objects = AsyncManager()

    class Meta:
        get_latest_by = "published"


class PagesQuerySet(AsyncQuerySet):
    def thick(self):
        return self.filter(pages__gte=300)


class BookManager(AsyncManager.from_queryset(PagesQuerySet)):
    """A manager of its own class: filters, and has the queryset's methods."""

    use_in_migrations = True

    def get_queryset(self):
        return super().get_queryset().exclude(title="")


class PrintedBook(Book):
    """A proxy with managers of its own."""

    printed = BookManager()
    by_pages = PagesQuerySet.as_manager()

    class Meta:
        proxy = True


class Sample(models.Model):
    """One field of each type that has a native decoder, and some that have none."""

    small = models.SmallIntegerField(null=True)
    integer = models.IntegerField(null=True)
    big = models.BigIntegerField(null=True)
    real = models.FloatField(null=True)
    flag = models.BooleanField(null=True)
    text = models.TextField(null=True)
    char = models.CharField(max_length=50, null=True)
    slug = models.SlugField(null=True)
    amount = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    date = models.DateField(null=True)
    time = models.TimeField(null=True)
    moment = models.DateTimeField(null=True)
    span = models.DurationField(null=True)
    key = models.UUIDField(null=True)
    data = models.JSONField(null=True)
    blob = models.BinaryField(null=True)
    address = models.GenericIPAddressField(null=True)
    upload = models.FileField(null=True)
    email = models.EmailField(null=True)

    objects = AsyncManager()


class Place(models.Model):
    name = models.CharField(max_length=50)

    objects = AsyncManager()


class Restaurant(Place):
    """A child with a table of its own."""

    stars = models.IntegerField(default=0)

    objects = AsyncManager()


class Dated(models.Model):
    created = models.DateTimeField(default=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))

    objects = AsyncManager()

    class Meta:
        abstract = True


class Event(Dated):
    """A child of an abstract base, which it has its manager from."""

    name = models.CharField(max_length=50)
    token = models.UUIDField(default=uuid.uuid4, unique=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, default=Decimal("1.50"))
    is_public = models.BooleanField(null=True)


class UpperField(models.CharField):
    """A field that converts: what is read is in capitals."""

    def from_db_value(self, value, expression, connection):
        return value if value is None else value.upper()


class Converted(models.Model):
    shout = UpperField(max_length=50, null=True)

    objects = AsyncManager()


class WithFromDb(models.Model):
    name = models.CharField(max_length=50)

    objects = AsyncManager()

    @classmethod
    def from_db(cls, db, field_names, values, **kwargs):
        instance = super().from_db(db, field_names, values, **kwargs)
        instance.loaded = (list(field_names), type(values).__name__, list(values))
        return instance


class WithInit(models.Model):
    name = models.CharField(max_length=50)

    objects = AsyncManager()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.initialised = True


class Mixin:
    def __init__(self):
        self.mixed_in = True


class WithMixin(models.Model, Mixin):
    """``Model.__init__()`` calls the mixin's."""

    name = models.CharField(max_length=50)

    objects = AsyncManager()


class ShoutingAttribute:
    def __get__(self, instance, owner=None):
        return self if instance is None else instance.__dict__["name"] + "!"

    def __set__(self, instance, value):
        instance.__dict__["name"] = value.upper()


class DescribedField(models.CharField):
    def contribute_to_class(self, cls, name, private_only=False):
        super().contribute_to_class(cls, name, private_only)
        setattr(cls, name, ShoutingAttribute())


class WithDescriptor(models.Model):
    name = DescribedField(max_length=50)

    objects = AsyncManager()


class Order(models.Model):
    """A composite primary key."""

    pk = models.CompositePrimaryKey("shop", "number")
    shop = models.IntegerField()
    number = models.IntegerField()
    total = models.DecimalField(max_digits=8, decimal_places=2)

    objects = AsyncManager()


class Account(models.Model):
    """For transactions: written to by the tests that need to see what is left of it."""

    owner = models.CharField(max_length=50, unique=True)
    balance = models.IntegerField(default=0)

    objects = AsyncManager()


class Entry(models.Model):
    account = models.ForeignKey(Account, models.CASCADE, related_name="entries")
    amount = models.IntegerField()

    objects = AsyncManager()


# Written to by the tests, in addition to Account, Entry and Event.


class Skill(models.Model):
    name = models.CharField(max_length=50, unique=True)

    objects = AsyncManager()


class Comment(models.Model):
    text = models.TextField()
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveIntegerField()
    target = GenericForeignKey()

    objects = AsyncManager()


class Team(models.Model):
    name = models.CharField(max_length=50, unique=True)
    city = models.CharField(max_length=50, default="")

    objects = AsyncManager()


class Player(models.Model):
    """Relations of every kind, to be written through."""

    name = models.CharField(max_length=50)
    rank = models.IntegerField(default=0)
    team = models.ForeignKey(Team, models.SET_NULL, null=True, related_name="players")
    skills = models.ManyToManyField(Skill, related_name="players")
    mentors = models.ManyToManyField("self", symmetrical=False, through="Mentoring")
    comments = GenericRelation(Comment)

    objects = AsyncManager()


class Mentoring(models.Model):
    from_player = models.ForeignKey(Player, models.CASCADE, related_name="mentored_by")
    to_player = models.ForeignKey(Player, models.CASCADE, related_name="mentoring")
    hours = models.IntegerField(default=1)


class Captain(Player):
    """A child with a table of its own."""

    armband = models.CharField(max_length=50, default="")

    objects = AsyncManager()


class Contract(models.Model):
    player = models.ForeignKey(Player, models.PROTECT, related_name="contracts")

    objects = AsyncManager()


class Ticket(models.Model):
    """What the database works out itself is read back after an insert."""

    price = models.IntegerField()
    number = models.IntegerField(db_default=7)
    doubled = models.GeneratedField(
        expression=models.F("price") * 2, output_field=models.IntegerField(), db_persist=True
    )

    objects = AsyncManager()


class Seat(models.Model):
    """A composite primary key."""

    pk = models.CompositePrimaryKey("row", "number")
    row = models.IntegerField()
    number = models.IntegerField()
    taken = models.BooleanField(default=False)

    objects = AsyncManager()


class Article(models.Model):
    """Overrides ``save()`` and ``delete()``, in which it queries."""

    title = models.CharField(max_length=50)
    position = models.IntegerField(default=0)

    objects = AsyncManager()

    def save(self, *args, **kwargs):
        if self._state.adding:
            self.position = Article.objects.count() + 1
        super().save(*args, **kwargs)

    def delete(self, *args, **kwargs):
        Article.objects.filter(position__gt=self.position).update(
            position=models.F("position") - 1
        )
        return super().delete(*args, **kwargs)


class Diary(models.Model):
    """Has async methods of its own."""

    text = models.TextField(default="")

    objects = AsyncManager()

    async def asave(self, *args, **kwargs):
        self.text += " (saved)"
        await super().asave(*args, **kwargs)

    async def adelete(self, *args, **kwargs):
        return "kept"
