"""The related managers' own ``a*`` methods, which Django defines as thread hops."""

from __future__ import annotations

from inspect import iscoroutinefunction

from turbo_orm.bridge import bridged_method

# Where Django defines the classes of related managers, each deriving from a model's manager.
_DJANGO_MODULES = {
    "django.contrib.contenttypes.fields",
    "django.db.models.fields.related_descriptors",
}


def use_bridge(manager_class: type) -> None:
    """Have the async methods that Django defines on a related manager's class use the bridge.

    A class that is not one of Django's related managers is left as it is.
    """
    for name, method in list(vars(manager_class).items()):
        if iscoroutinefunction(method) and method.__module__ in _DJANGO_MODULES:
            setattr(manager_class, name, bridged_method(method))
