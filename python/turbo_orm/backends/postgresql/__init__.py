"""``"ENGINE": "turbo_orm.backends.postgresql"``: PostgreSQL for sync and for async code."""
