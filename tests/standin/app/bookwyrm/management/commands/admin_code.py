# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the code with which the first administrator signs up."""

from typing import Any

from django.core.management.base import BaseCommand

from bookwyrm.models import SiteSettings


class Command(BaseCommand):
    help = "Print the admin code"

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write("*" * 43)
        self.stdout.write("The administrator's account needs this code:")
        self.stdout.write(str(SiteSettings.get().admin_code))
        self.stdout.write("*" * 43)
