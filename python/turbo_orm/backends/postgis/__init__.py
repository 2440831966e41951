"""``"ENGINE": "turbo_orm.backends.postgis"``: PostGIS for sync and for async code."""
