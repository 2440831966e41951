"""Four tables: narrow, wide, of long texts, and of 32 columns.

Each has three managers: turbo-orm's, Django's own, and django-async-backend's.
"""

from django.db import models
from django_async_backend.db.models.manager import AsyncManager as BackendManager

from turbo_orm import AsyncManager


class Table(models.Model):
    """What the tables have in common."""

    objects = AsyncManager()
    threaded = models.Manager()
    backend = BackendManager()

    class Meta:
        abstract = True


class Owner(Table):
    """An owner of rows of ``Wide``."""

    name = models.CharField(max_length=60)
    email = models.EmailField()
    joined = models.DateTimeField()


class Narrow(Table):
    """Four columns."""

    created = models.DateTimeField()
    number = models.IntegerField()
    text = models.TextField()


class Wide(Table):
    """Twelve columns, each of another type."""

    owner = models.ForeignKey(Owner, models.CASCADE, related_name="+")
    title = models.CharField(max_length=100)
    slug = models.SlugField(db_index=False)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    score = models.FloatField()
    active = models.BooleanField()
    created = models.DateTimeField()
    due = models.DateField(null=True)
    uuid = models.UUIDField()
    attributes = models.JSONField()
    quantity = models.IntegerField()


class Text(Table):
    """Six columns of text. Values of long ones are up to their ``max_length`` in length."""

    title = models.CharField(max_length=120)
    author = models.CharField(max_length=40)
    summary = models.TextField(max_length=300)
    body = models.TextField(max_length=1200)
    language = models.CharField(max_length=10)


class Columns32(Table):
    """32 columns of ordinary types, as an order might have."""

    number = models.CharField(max_length=20)
    reference = models.UUIDField()
    customer = models.CharField(max_length=60)
    company = models.CharField(max_length=60, null=True)
    email = models.EmailField()
    phone = models.CharField(max_length=20, null=True)
    street = models.CharField(max_length=80)
    city = models.CharField(max_length=40)
    region = models.CharField(max_length=40, null=True)
    postcode = models.CharField(max_length=10)
    country = models.CharField(max_length=10)
    currency = models.CharField(max_length=10)
    net = models.DecimalField(max_digits=10, decimal_places=2)
    tax = models.DecimalField(max_digits=10, decimal_places=2)
    gross = models.DecimalField(max_digits=10, decimal_places=2)
    discount = models.FloatField()
    weight = models.FloatField()
    items = models.SmallIntegerField()
    parcels = models.SmallIntegerField()
    warehouse = models.IntegerField()
    carrier = models.IntegerField(null=True)
    views = models.BigIntegerField()
    paid = models.BooleanField()
    gift = models.BooleanField()
    returned = models.BooleanField()
    note = models.TextField()
    created = models.DateTimeField()
    changed = models.DateTimeField()
    shipped = models.DateTimeField(null=True)
    due = models.DateField()
    slot = models.TimeField()
