"""A project with users, sessions and the admin, whose tables are in a schema of their own."""

from typing import Any

from tests.support.project import APPS, databases, run_in_project

_CONTRIB = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.messages",
    "django.contrib.sessions",
]
_MEMBERS = "tests.integrations.members"


def run_in_site(code: str) -> Any:
    """Run code in the project, and return what it answers."""
    options = {**databases()["default"].get("OPTIONS", {}), "options": "-c search_path=site"}
    return run_in_project(
        code,
        ALLOWED_HOSTS=["testserver"],
        AUTH_USER_MODEL="members.Member",
        DATABASES=databases(OPTIONS=options),
        INSTALLED_APPS=[*_CONTRIB, *APPS, _MEMBERS],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        MIGRATION_MODULES={name.rpartition(".")[2]: None for name in [*_CONTRIB, *APPS, _MEMBERS]},
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ROOT_URLCONF="__main__",
        STATIC_URL="/static/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
    )
