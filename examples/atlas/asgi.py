"""The atlas as an ASGI application: ``uvicorn --app-dir examples atlas.asgi:application``."""

import os

from turbo_orm.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "atlas.settings")

application = get_asgi_application()
