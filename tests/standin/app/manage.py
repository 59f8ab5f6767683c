#!/usr/bin/env python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Django's command line for the stand-in instance."""

import os
import sys

from environs import Env

if __name__ == "__main__":
    Env.read_env()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bookwyrm.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
