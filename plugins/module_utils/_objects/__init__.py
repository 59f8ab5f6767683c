# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests about objects (PUT, GET, LIST, ...), spoken over kept-alive connections without boto3 in the way.

boto3 says where to ask and with which keys (access); buckets and their settings go through it entirely (_s3).
"""
