"""Models with fields of every kind that Django and django.contrib.postgres have."""

import json
from decimal import Decimal

from django.contrib.postgres.fields import (
    ArrayField,
    BigIntegerRangeField,
    DateRangeField,
    DateTimeRangeField,
    DecimalRangeField,
    HStoreField,
    IntegerRangeField,
)
from django.contrib.postgres.search import SearchVectorField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from turbo_orm import AsyncManager


class Whole(models.Model):
    """Whole numbers that ``Sample`` has not, and a key of 16 bits."""

    id = models.SmallAutoField(primary_key=True)
    positive_small = models.PositiveSmallIntegerField(null=True)
    positive = models.PositiveIntegerField(null=True)
    positive_big = models.PositiveBigIntegerField(null=True)
    chosen = models.IntegerField(choices=[(1, "one"), (2, "two")], null=True)
    calculated = models.GeneratedField(
        expression=models.F("positive_small") * 2,
        output_field=models.IntegerField(),
        db_persist=True,
    )
    elsewhere = models.IntegerField(db_column="another name", db_default=7)

    objects = AsyncManager()


class Suit(models.TextChoices):
    CLUBS = "c"
    SPADES = "s"


class Lettered(models.Model):
    """Text that ``Sample`` has not, and a key of 32 bits."""

    id = models.AutoField(primary_key=True)
    url = models.URLField(null=True)
    path = models.FilePathField(path="/", null=True)
    suit = models.CharField(max_length=1, choices=Suit, null=True)
    collated = models.TextField(db_collation="C", null=True)
    upper = models.GeneratedField(
        expression=models.functions.Upper("collated"),
        output_field=models.TextField(),
        db_persist=True,
    )
    any_address = models.GenericIPAddressField(unpack_ipv4=True, null=True)
    old_address = models.GenericIPAddressField(protocol="IPv4", null=True)

    objects = AsyncManager()


class Picture(models.Model):
    """The sizes are worked out by a receiver of ``post_init``, unless they are there."""

    image = models.ImageField(width_field="width", height_field="height", null=True)
    width = models.IntegerField(null=True)
    height = models.IntegerField(null=True)

    objects = AsyncManager()


class Attachment(models.Model):
    image = models.ImageField(null=True)
    file = models.FileField(upload_to="files", null=True)

    objects = AsyncManager()


class ExactDecoder(json.JSONDecoder):
    def __init__(self, **kwargs):
        super().__init__(parse_float=Decimal, **kwargs)


class Structured(models.Model):
    """JSON in each way that it can be written and read."""

    plain = models.JSONField(null=True)
    encoded = models.JSONField(encoder=DjangoJSONEncoder, null=True)
    exact = models.JSONField(encoder=DjangoJSONEncoder, decoder=ExactDecoder, null=True)

    objects = AsyncManager()


# Relations of every kind, to keys of every kind


class Language(models.Model):
    code = models.CharField(max_length=8, primary_key=True)
    name = models.CharField(max_length=50, unique=True)

    objects = AsyncManager()


class Grammar(models.Model):
    """Its key is the relation."""

    language = models.OneToOneField(Language, models.CASCADE, primary_key=True)
    year = models.IntegerField()

    objects = AsyncManager()


class Chapter(models.Model):
    grammar = models.ForeignKey(Grammar, models.CASCADE, related_name="chapters")
    title = models.CharField(max_length=50)

    objects = AsyncManager()

    class Meta:
        order_with_respect_to = "grammar"


class Speaker(models.Model):
    first = models.ForeignKey(Language, models.CASCADE, related_name="speakers")
    second = models.ForeignKey(
        Language, models.CASCADE, to_field="name", null=True, related_name="learners"
    )
    teacher = models.ForeignKey("self", models.CASCADE, null=True, related_name="pupils")

    objects = AsyncManager()


class OrderLine(models.Model):
    """Refers to a composite primary key."""

    shop = models.IntegerField(null=True)
    number = models.IntegerField()
    order = models.ForeignObject(
        "library.Order",
        models.CASCADE,
        from_fields=["shop", "number"],
        to_fields=["shop", "number"],
        related_name="lines",
        null=True,
    )

    objects = AsyncManager()


# Those of django.contrib.postgres


class Arrays(models.Model):
    smalls = ArrayField(models.SmallIntegerField(), null=True)
    integers = ArrayField(models.IntegerField(), null=True)
    bigs = ArrayField(models.BigIntegerField(), null=True)
    reals = ArrayField(models.FloatField(), null=True)
    amounts = ArrayField(models.DecimalField(max_digits=20, decimal_places=4), null=True)
    flags = ArrayField(models.BooleanField(), null=True)
    texts = ArrayField(models.TextField(), null=True)
    chars = ArrayField(models.CharField(max_length=20), size=3, null=True)
    emails = ArrayField(models.EmailField(), null=True)
    dates = ArrayField(models.DateField(), null=True)
    times = ArrayField(models.TimeField(), null=True)
    moments = ArrayField(models.DateTimeField(), null=True)
    spans = ArrayField(models.DurationField(), null=True)
    keys = ArrayField(models.UUIDField(), null=True)
    blobs = ArrayField(models.BinaryField(), null=True)
    addresses = ArrayField(models.GenericIPAddressField(), null=True)
    documents = ArrayField(models.JSONField(), null=True)
    exact_documents = ArrayField(models.JSONField(decoder=ExactDecoder), null=True)
    ranges = ArrayField(IntegerRangeField(), null=True)
    periods = ArrayField(DateTimeRangeField(), null=True)
    matrix = ArrayField(ArrayField(models.IntegerField()), null=True)
    words = ArrayField(ArrayField(ArrayField(models.TextField())), null=True)

    objects = AsyncManager()


class Ranges(models.Model):
    integers = IntegerRangeField(null=True)
    bigs = BigIntegerRangeField(null=True)
    amounts = DecimalRangeField(null=True)
    dates = DateRangeField(null=True)
    moments = DateTimeRangeField(null=True)

    objects = AsyncManager()


class Searched(models.Model):
    text = models.TextField()
    vector = SearchVectorField(null=True)

    objects = AsyncManager()


# Those of PostgreSQL's extensions: what has their tables made is the test that needs them.


class CITextField(models.TextField):
    def db_type(self, connection):
        return "citext"


class Bag(models.Model):
    data = HStoreField(null=True)
    many = ArrayField(HStoreField(), null=True)

    objects = AsyncManager()

    class Meta:
        managed = False


class Insensitive(models.Model):
    name = CITextField(null=True)
    names = ArrayField(CITextField(), null=True)

    objects = AsyncManager()

    class Meta:
        managed = False
