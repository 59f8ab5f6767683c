# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application
from environs import Env

Env.read_env()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bookwyrm.settings")
application = get_wsgi_application()
