#!/usr/bin/python
# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Writes a page on what was done with the media of an instance
version_added: 0.1.0
author: selfhosted.media contributors (@selfhosted-media)
description:
  - Writes one self-contained HTML page, and its JSON twin, on the controller. The page reads well on a phone, on paper, light and dark. It
    loads nothing but the pictures of O(images) and O(verification), and its content security policy allows nothing else.
  - It is for people who were not there. The roles of this collection write it at the end of each run, also of one that has failed.
  - Registered results of this collection's modules are taken as they are; what is not in them is left out of the page.
  - The values of settings whose names look like a secret's, users and passwords in URLs, and all O(secrets) are replaced by asterisks.
  - Nothing is asked of the host, so neither its connection nor C(become) matters.
extends_documentation_fragment:
  - selfhosted.media.attributes
attributes:
  check_mode:
    support: full
    details: In check mode nothing is written.
  diff_mode:
    support: none
  idempotent:
    support: full
    details: A report is no change, so RV(ignore:changed) is always V(false). Each run writes files of new names.
options:
  application:
    description: Name of the application, as people write it.
    type: str
    required: true
  instance:
    description: Name of the instance, such as its domain. It is in the headline and in the names of the files.
    type: str
    required: true
  action:
    description: What was done.
    type: str
    required: true
    choices: [migrate, new, sync, verify, rollback]
  dest:
    description:
      - Folder on the controller for the two files; made if it is not there.
      - If empty, the folder from which C(ansible-playbook) was called. A relative path counts from there too, not from the playbook's
        folder, which may be an installed collection.
    type: str
    default: ''
  ok:
    description: Whether it went well.
    type: bool
    default: true
  headline:
    description: The headline. If empty, a sentence that follows from O(action), O(ok) and O(instance).
    type: str
    default: ''
  notes:
    description: Sentences that say it in short. Empty ones are left out.
    type: list
    elements: str
    default: []
  problems:
    description: What is the matter, above everything else. One without O(problems[].what) is left out.
    type: list
    elements: dict
    default: []
    suboptions:
      what:
        description: What is wrong, and where.
        type: str
        default: ''
      remedy:
        description: What to do about it.
        type: str
        default: ''
  steps:
    description: What was done, in its order.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What was done, in a few words.
        type: str
        required: true
      result:
        description:
          - The registered result of its task. C(failed), C(skipped), C(duration), and C(began) in seconds since 1970 are looked at.
          - A step with neither this nor O(steps[].state) was not reached and is left out, and so is one that began before the first step;
            that is of an earlier run.
        type: dict
        default: {}
      state:
        description: How it ended, if there is no result to tell.
        type: str
        choices: [ok, failed, skipped, unknown]
      seconds:
        description: How long it took, if there is no result to tell.
        type: float
      detail:
        description: What there is to say about it.
        type: str
        default: ''
  counts:
    description: What was counted before and after.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What was counted.
        type: str
        required: true
      before:
        description: The number, or a word, before.
        type: raw
      after:
        description: The number, or a word, after.
        type: raw
  transfer:
    description:
      - The registered result of M(selfhosted.media.media_sync) or M(selfhosted.media.gramps_media), for the numbers and the charts.
      - C(throughput) is a list of points, each seconds since the start, bytes and files done by then. C(types) and C(folders) are
        dictionaries of names with C(files) and C(bytes) each.
    type: dict
    default: {}
  verification:
    description:
      - The registered result of M(selfhosted.media.media_verify) or M(selfhosted.media.gramps_media).
      - With O(public_url), its C(sample) becomes the contact sheet.
    type: dict
    default: {}
  public_url:
    description: What comes before the key in the public URL of an object, such as V(https://media.example.org).
    type: str
    default: ''
  images:
    description: More objects for the contact sheet. What is no picture, and what comes after the first 60, is linked.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: Its public URL. What is neither http nor https is only named.
        type: str
        required: true
      name:
        description: Its name. If empty, the last part of the URL.
        type: str
        default: ''
  checks:
    description:
      - The RV(selfhosted.media.s3_preflight#module:checks) of one or more tasks.
      - Of several looks at the same thing the last that found something counts.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What was looked at.
        type: str
        required: true
      state:
        description: How it is.
        type: str
        choices: [ok, failed, skipped, unknown]
        default: ok
      detail:
        description: What was found.
        type: str
        default: ''
      remedy:
        description: What to do about a failure.
        type: str
        default: ''
  probes:
    description: What browsers see.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What was tried.
        type: str
        required: true
      result:
        description: The registered result of M(selfhosted.media.media_probe). Without one, or of a skipped task, the probe is left out.
        type: dict
        default: {}
  settings:
    description: Settings that were changed, with their values.
    type: dict
    default: {}
  secret_settings:
    description: Names of secret settings that were changed.
    type: list
    elements: str
    default: []
  commands:
    description: What can be done now, ready to be copied.
    type: list
    elements: dict
    default: []
    suboptions:
      what:
        description: What the command is for.
        type: str
        required: true
      command:
        description: The command line.
        type: str
        default: ''
      playbook:
        description:
          - Instead of O(commands[].command), a playbook of this collection, such as V(selfhosted.media.verify). The command line then has the
            inventories of this run and C(-e target=) with this host.
        type: str
        default: ''
      extra_vars:
        description: More variables for O(commands[].playbook).
        type: dict
        default: {}
  secrets:
    description: Texts that are replaced by asterisks wherever they would appear.
    type: list
    elements: str
    default: []
seealso:
  - module: selfhosted.media.media_sync
  - module: selfhosted.media.media_verify
"""

EXAMPLES = r"""
- name: Copy the media
  selfhosted.media.media_sync:
    endpoint_url: https://s3.fr-par.scw.cloud
    region: fr-par
    path: /srv/mastodon/system
    bucket: example-media
  register: copy

- name: Verify them, and fetch some as everybody does
  selfhosted.media.media_verify:
    endpoint_url: https://s3.fr-par.scw.cloud
    region: fr-par
    path: /srv/mastodon/system
    bucket: example-media
    sample: 12
    public_url: https://example-media.s3.fr-par.scw.cloud
  register: verified

- name: Show it
  selfhosted.media.report:
    application: Mastodon
    instance: social.example.org
    action: migrate
    dest: ~/reports
    steps:
      - name: Copy the media while the site runs
        result: "{{ copy }}"
      - name: Verify every file
        result: "{{ verified }}"
    transfer: "{{ copy }}"
    verification: "{{ verified }}"
    public_url: https://example-media.s3.fr-par.scw.cloud
    settings:
      S3_ENABLED: 'true'
      S3_BUCKET: example-media
    secret_settings: [AWS_SECRET_ACCESS_KEY]
"""

RETURN = r"""
html:
  description: Path of the page on the controller.
  type: str
  returned: not in check mode
  sample: /home/admin/books.example.org-migrate-2026-07-01-120000.html
json:
  description: Path of the same as JSON. Its C(format) changes when a name in it is given up.
  type: str
  returned: not in check mode
  sample: /home/admin/books.example.org-migrate-2026-07-01-120000.json
msg:
  description: That nothing was written.
  type: str
  returned: in check mode
  sample: No report is written in check mode.
"""
