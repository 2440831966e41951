"""Django's routes: one, to the view of the contender whose server this is."""

from typing import Any

urlpatterns: list[Any] = []
