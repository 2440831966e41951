"""The app's command for ``manage.py``."""
