# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of the data model as moving the media needs."""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """Somebody with an avatar."""

    avatar = models.ImageField(upload_to="avatars/", blank=True)


class Book(models.Model):
    """A title with a cover."""

    # BookWyrm has texts with a collation of their own, which PostgreSQL does not search within
    title = models.CharField(max_length=255, db_collation="NOCASE")
    cover = models.ImageField(upload_to="covers/", blank=True, max_length=255)


class Connector(models.Model):
    """Where an instance looks for books; one for the instance itself only in releases of 2021."""

    identifier = models.CharField(max_length=255, unique=True)
    name = models.CharField(max_length=255)
    connector_file = models.CharField(max_length=255)
    base_url = models.CharField(max_length=255)
    books_url = models.CharField(max_length=255)
    covers_url = models.CharField(max_length=255)
    priority = models.IntegerField(default=2)


class SiteSettings(models.Model):
    """The one row about the site."""

    name = models.CharField(default="Stand-in", max_length=100)
    logo = models.ImageField(upload_to="logos/", blank=True)
    install_mode = models.BooleanField(default=False)
    admin_code = models.CharField(max_length=50, default=uuid.uuid4)

    @classmethod
    def get(cls) -> "SiteSettings":
        """The row, made when it is not there."""
        return cls.objects.first() or cls.objects.create()
