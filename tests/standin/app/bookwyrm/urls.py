# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's addresses."""

from django.urls import path

from bookwyrm import views

urlpatterns = [
    path("", views.home, name="home"),
    path("setup", views.setup, name="setup"),
    path("upload", views.upload),
    path("delete", views.delete),
    path("static/<path:path>", views.local_static),
    path("images/<path:path>", views.local_image),
]
