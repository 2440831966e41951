"""The view of Django REST framework: a list of entries, as its tutorial has it."""

from typing import Any

from django.urls import path
from rest_framework.generics import ListAPIView
from rest_framework.serializers import ModelSerializer

from benches.http import answer
from benches.http.endpoints import LENGTH, SERIALIZED, any_key, first_of_list
from benches.http.models import Entry


class EntrySerializer(ModelSerializer):
    class Meta:
        model = Entry
        fields = answer.ENTRY


class EntryList(ListAPIView):
    """A hundred entries. It has the framework's defaults, and is sync, as all of that is."""

    serializer_class = EntrySerializer

    def get_queryset(self) -> Any:
        first = first_of_list(self.kwargs.get("key") or any_key())
        return Entry.objects.filter(pk__gte=first).order_by("pk")[:LENGTH]


urlpatterns = [
    path(SERIALIZED, EntryList.as_view()),
    path(f"{SERIALIZED}/<int:key>", EntryList.as_view()),
]
