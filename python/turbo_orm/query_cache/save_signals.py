"""Which signals of making and saving an instance have receivers, for a model.

Django's ``has_listeners()`` costs more than a short statement's parameters. It is asked again when
one of the lists of receivers has changed.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.db.models.signals import post_init, post_save, pre_init, pre_save

# The lists of receivers when they were last looked at.
_seen: tuple[list[Any], ...] = ()


class SaveSignals:
    """Which of them a model's instances have to send."""

    def __init__(self, model: type[Model]) -> None:
        self._model = model
        self._found_in: object = None
        self._init = self._pre_save = self._post_save = False

    @property
    def init(self) -> bool:
        """Whether ``pre_init`` or ``post_init`` has receivers."""
        self._look()
        return self._init

    @property
    def pre_save(self) -> bool:
        """Whether ``pre_save`` has receivers."""
        self._look()
        return self._pre_save

    @property
    def post_save(self) -> bool:
        """Whether ``post_save`` has receivers."""
        self._look()
        return self._post_save

    def _look(self) -> None:
        global _seen
        current = pre_init.receivers, post_init.receivers, pre_save.receivers, post_save.receivers
        if current != _seen:
            _seen = tuple(map(list, current))
        if self._found_in is not _seen:
            seen, model = _seen, self._model
            self._init = pre_init.has_listeners(model) or post_init.has_listeners(model)
            is_sent = not model._meta.auto_created
            self._pre_save = is_sent and pre_save.has_listeners(model)
            self._post_save = is_sent and post_save.has_listeners(model)
            self._found_in = seen
