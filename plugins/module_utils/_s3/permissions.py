# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a key has to be allowed: policy documents, as narrow as the calls of the applications and of the modules are.

Nobody but the application deletes media. What the migration deletes are the objects that it has made to try a service out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import Provider, provider_for
from ansible_collections.selfhosted.media.plugins.module_utils._s3.publication import METHODS, arn, method_of
from ansible_collections.selfhosted.media.plugins.module_utils._s3.settings import APPLICATIONS
from ansible_collections.selfhosted.media.plugins.module_utils._sync.temporary import PROBE

Statement = dict[str, Any]

#: Whose key it is.
KEYS = ("application", "migration")
_IMAGES, _STATIC, _EXPORTS = "images/", "static/", "exports/"
_PROBES = PROBE.decode() + "*"
#: Without s3:ListBucket a missing object is answered with 403, which nobody takes for "not there". Restricted to prefixes it no
#: longer counts for that, nor for HeadBucket.
_LIST = ("s3:ListBucket",)
_READ_AND_WRITE = ("s3:GetObject", "s3:PutObject")
_ACL = ("s3:PutObjectAcl",)
#: libraries give up a large upload that fails
_GIVE_UP = ("s3:AbortMultipartUpload",)
_DELETE = ("s3:DeleteObject",)
#: to copy, to verify and to bring back; to take up or give up a large upload that a killed run has begun
_TRANSFER = (*_READ_AND_WRITE, *_GIVE_UP, "s3:ListMultipartUploadParts")
_MAKE_AND_FILL = ("s3:CreateBucket", *_LIST, "s3:ListBucketMultipartUploads")
_OWNERSHIP = ("s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls")


@dataclass(frozen=True)
class _Task:
    """What the key is for."""

    bucket: str
    provider: Provider
    #: several where the one that the service honours is found out by trying
    methods: tuple[str, ...]
    region: str
    exports: str
    prefix: str

    @property
    def has_acls(self) -> bool:
        """Whether the service's policies know actions about ACLs."""
        return self.provider.object_acl != "ignored"

    @property
    def acl(self) -> tuple[str, ...]:
        """What an upload needs besides that it may write."""
        return _ACL if "acl" in self.methods else ()

    def media(self, *patterns: str) -> list[str]:
        """Objects of the bucket."""
        return [arn(self.bucket, self.region, self.prefix + pattern) for pattern in patterns]

    def buckets(self) -> list[str]:
        """The bucket, and the one for exports."""
        return [arn(name, self.region) for name in (self.bucket, self.exports) if name]


def document(
    application: str,
    bucket: str,
    key: str = "application",
    *,
    provider: str = "aws",
    method: str = "auto",
    exports: Optional[str] = None,
    prefix: str = "",
    region: Optional[str] = None,
) -> dict[str, Any]:
    """The policy document for a key of an application. Raises MediaError for what is not known or cannot be."""
    _check(application, bucket, key, method, exports, prefix)
    known = provider_for(provider, None)
    methods = known.public_methods if method == "auto" else (method_of(method, known),)
    below = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    task = _Task(bucket, known, methods, region or "", exports or "", below)
    return {"Version": "2012-10-17", "Statement": _DOCUMENTS[application, key](task)}


def _check(application: str, bucket: str, key: str, method: str, exports: Optional[str], prefix: str) -> None:
    for name, value, choices in (
        ("application", application, APPLICATIONS),
        ("key", key, KEYS),
        ("method", method, METHODS),
    ):
        if value not in choices:
            raise MediaError(f"{name} {value!r} is not known; known are {', '.join(choices)}")
    if not bucket:
        raise MediaError("the bucket's name is missing")
    if exports == bucket:
        raise MediaError(f"exports: {bucket} is the bucket of the media, which everybody may read; use another one")
    if exports and application != "bookwyrm":
        raise MediaError("exports is for BookWyrm alone")
    if prefix and application != "gramps_web":
        raise MediaError("prefix is for Gramps Web alone; BookWyrm's objects lie below images/ and static/")
    # A wildcard would allow more than is meant. Buckets from long ago may have capitals and underscores.
    for name in filter(None, (bucket, exports)):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise MediaError(f"bucket name {name!r} holds a character that no bucket's name has")
    if set(prefix) & set("*?$"):
        raise MediaError(f"prefix {prefix!r} holds a wildcard; name the folder only")


def _allow(sid: str, actions: tuple[str, ...], resources: list[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}


def _one(sid: str, actions: tuple[str, ...], resource: str) -> list[Statement]:
    """A statement, unless there is nothing to allow."""
    return [_allow(sid, actions, [resource])] if actions else []


def _bookwyrm(task: _Task) -> list[Statement]:
    """django-storages looks for a name before it writes it; collectstatic replaces what is older than its source."""
    objects = (*_READ_AND_WRITE, *task.acl, *_DELETE, *_GIVE_UP)
    statements = [
        _allow("Find", _LIST, task.buckets()),
        _allow("Media", objects, task.media(_IMAGES + "*", _STATIC + "*")),
    ]
    if task.exports:
        # every object there is written with the ACL private
        acl = _ACL if task.has_acls else ()
        objects = (*_READ_AND_WRITE, *acl, *_DELETE, *_GIVE_UP)
        statements.append(_allow("Exports", objects, [arn(task.exports, task.region, _EXPORTS + "*")]))
    return statements


def _gramps_web(task: _Task) -> list[Statement]:
    """Gramps Web deletes nothing but archives that have expired, which lie below the prefix or below a tree's id."""
    return [
        _allow("Find", _LIST, task.buckets()),
        _allow("Media", (*_READ_AND_WRITE, *_GIVE_UP), task.media("*")),
        _allow("Expired", _DELETE, task.media("*media_archives/*", _PROBES)),
    ]


def _bookwyrm_migration(task: _Task) -> list[Statement]:
    cors = () if task.provider.cors is False else ("s3:GetBucketCORS", "s3:PutBucketCORS")
    statements = [
        _allow("Buckets", _MAKE_AND_FILL, task.buckets()),
        *_one("Publication", (*_publication(task), *cors), arn(task.bucket, task.region)),
        _allow("Media", (*_TRANSFER, *task.acl), task.media(_IMAGES + "*")),
        # the types of static assets are mended by a copy of each onto itself
        _allow("Static", (*_READ_AND_WRITE, *task.acl), task.media(_STATIC + "*")),
    ]
    probes = task.media(_IMAGES + _PROBES)
    if task.exports:
        actions = (*_privacy(task), *(_OWNERSHIP if task.provider.ownership_controls else ()))
        statements += [
            *_one("Privacy", actions, arn(task.exports, task.region)),
            _allow("Exports", _TRANSFER, [arn(task.exports, task.region, _EXPORTS + "*")]),
        ]
        probes.append(arn(task.exports, task.region, _EXPORTS + _PROBES))
    return [*statements, _allow("Probes", _DELETE, probes)]


def _gramps_web_migration(task: _Task) -> list[Statement]:
    # a bucket that serves others too keeps what they have made of it
    privacy = () if task.prefix or task.methods == ("none",) else _privacy(task)
    return [
        _allow("Bucket", (*_MAKE_AND_FILL, *privacy), task.buckets()),
        _allow("Media", _TRANSFER, task.media("*")),
        _allow("Probes", _DELETE, task.media(_PROBES)),
    ]


def _privacy(task: _Task) -> tuple[str, ...]:
    """To see that nothing of a bucket is public."""
    blocks = ("s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock")
    return (
        *(() if task.provider.policy is False else ("s3:GetBucketPolicy",)),
        *(("s3:GetBucketAcl",) if task.has_acls else ()),
        *(blocks if task.provider.public_access_block else ()),
    )


def _publication(task: _Task) -> tuple[str, ...]:
    """To publish in one way, and to see that nothing is public in another one."""
    if task.methods == ("none",):
        return ()
    ways = {
        "policy": ("s3:PutBucketPolicy",),
        "bucket_acl": ("s3:PutBucketAcl",),
        "website": ("s3:GetBucketWebsite", "s3:PutBucketWebsite"),
    }
    by_acl = {"acl", "bucket_acl"} & set(task.methods) and task.provider.ownership_controls
    tried = (action for method in task.methods for action in ways.get(method, ()))
    return (*_privacy(task), *tried, *(_OWNERSHIP if by_acl else ()))


_DOCUMENTS = {
    ("bookwyrm", "application"): _bookwyrm,
    ("bookwyrm", "migration"): _bookwyrm_migration,
    ("gramps_web", "application"): _gramps_web,
    ("gramps_web", "migration"): _gramps_web_migration,
}
