"""Models with natural keys, by which fixtures refer to them."""

from django.db import models

from turbo_orm import AsyncManager


class ShelfManager(AsyncManager):
    def get_by_natural_key(self, room, number):
        return self.get(room=room, number=number)


class Shelf(models.Model):
    room = models.CharField(max_length=50)
    number = models.IntegerField()

    objects = ShelfManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["room", "number"], name="one_shelf")]

    def natural_key(self):
        return self.room, self.number


class SignatureManager(AsyncManager):
    def get_by_natural_key(self, room, number, text):
        return self.get(shelf__room=room, shelf__number=number, text=text)


class Signature(models.Model):
    """Has the key of another in its own."""

    text = models.CharField(max_length=50)
    shelf = models.ForeignKey(Shelf, models.CASCADE, related_name="signatures")
    see = models.ManyToManyField("self", symmetrical=False)

    objects = SignatureManager()

    def natural_key(self):
        return (*self.shelf.natural_key(), self.text)

    natural_key.dependencies = ["library.shelf"]
