"""The site as an ASGI application: ``uvicorn --app-dir examples atlas.site.asgi:application``."""

import os

from atlas.site.hops import LoggedHops
from turbo_orm.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "atlas.site.settings")

application = LoggedHops(get_asgi_application())
