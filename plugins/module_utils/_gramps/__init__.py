# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gramps Web: where it is installed, which media its trees name, and where they belong in a bucket.

Nothing here imports Ansible.
"""
