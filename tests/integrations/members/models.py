"""A user model whose manager is Django's for users and an async one at once."""

from django.contrib.auth.models import AbstractUser, UserManager

from turbo_orm import AsyncManager


class MemberManager(AsyncManager, UserManager):
    pass


class Member(AbstractUser):
    objects = MemberManager()
