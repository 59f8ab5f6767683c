# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gunicorn's settings; the units override the address with --bind."""

from environs import Env

env = Env()
env.read_env()

bind = "[::]:8000"
workers = 2
threads = 4
worker_class = "gthread"
reload = env.bool("DEBUG", False)
