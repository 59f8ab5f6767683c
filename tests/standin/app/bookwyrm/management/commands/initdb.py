# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill a new database; do nothing to one that is filled."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from bookwyrm.models import Connector, SiteSettings

CONNECTORS = [
    ("bookwyrm.social", "bookwyrm_connector", "https://bookwyrm.social/images/"),
    ("inventaire.io", "inventaire", "https://inventaire.io"),
    ("openlibrary.org", "openlibrary", "https://covers.openlibrary.org"),
]


class Command(BaseCommand):
    help = "Fill a new database"

    def handle(self, *args: Any, **options: Any) -> None:
        # 0.0.1 is what git versions of 2021 call themselves: the instance is a connector of its own
        own = [(settings.DOMAIN, "self_connector", f"https://{settings.DOMAIN}/images/")]
        for identifier, file, covers_url in (own if settings.RELEASE < (0, 1) else []) + CONNECTORS:
            urls = {"base_url": f"https://{identifier}", "books_url": f"https://{identifier}/book"}
            defaults = {"name": identifier, "connector_file": file, "covers_url": covers_url, **urls}
            Connector.objects.get_or_create(identifier=identifier, defaults=defaults)
        if not SiteSettings.objects.exists():
            SiteSettings.objects.create(install_mode=True)
