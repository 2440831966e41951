"""Django's routes, to the views of the contender whose server this is."""

from typing import Any

urlpatterns: list[Any] = []
