"""HTTP responses of the rows of querysets, as JSON.

``ajson_response()`` is for async views, ``json_response()`` for sync ones. Django REST framework
has what is in **rest_framework**, and django-ninja what is in **ninja**; neither is imported by
the other modules.
"""

from turbo_orm.http.responses import ajson_response, json_response
from turbo_orm.http.written import WrittenJSON

__all__ = ["WrittenJSON", "ajson_response", "json_response"]
