"""The async methods of model instances, which Django defines as thread hops."""

from __future__ import annotations

from django.db.models import Model

from turbo_orm.bridge import bridged_method

_METHODS = ("adelete", "arefresh_from_db", "asave")


def use_bridge(model: type[Model]) -> None:
    """Have Django's async methods of a model's instances use the bridge.

    Methods that the model defines itself stay as they are.
    """
    for name in _METHODS:
        method = getattr(Model, name)
        if getattr(model, name) is method:
            setattr(model, name, bridged_method(method))
