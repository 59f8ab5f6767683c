# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the documentation's page of providers from the provider table and from the profiles that the tests play: make provider-page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.selfhosted.media.plugins.module_utils._s3.provider_table import PROVIDERS
from ansible_collections.selfhosted.media.plugins.module_utils._s3.providers import Provider
from ansible_collections.selfhosted.media.tests.servers.profiles import CAPABILITIES, PROFILES, capabilities

PAGE = Path(__file__).resolve().parents[1] / "docs" / "docsite" / "rst" / "providers.rst"

HEAD = """..
  Copyright (c) 2026 selfhosted.media contributors
  GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
  SPDX-License-Identifier: GPL-3.0-or-later

..
  Written by make provider-page from plugins/module_utils/_s3/provider_table.py and tests/servers/profiles.py. Do not edit.

.. _ansible_collections.selfhosted.media.docsite.providers:

Providers
=========

Give a provider's name, a region, a bucket and two keys; the rest follows from this table. Every value can be given by hand instead:
``endpoint_url``, ``region``, ``addressing_style`` and ``public_method`` of the modules, and ``bookwyrm_s3_endpoint_url``,
``bookwyrm_s3_custom_domain``, ``bookwyrm_s3_public_method`` and their like of the roles.

Without a name the host name of the endpoint tells the provider; one that is not known is ``generic``.
"""
METHODS = {
    "policy": "a bucket policy for ``images/`` and ``static/``",
    "acl": "the ACL ``public-read`` of each object",
    "bucket_acl": "the ACL of the bucket, which publishes all of it",
    "website": "the bucket as a website, which publishes all of it",
    "none": "the service's own means",
}
ACLS = {
    "honoured": "are honoured",
    "ignored": "are ignored",
    "refused": "are refused, unless the bucket is switched to accept them",
    "as_bucket": "have to be that of the bucket",
    "": "not confirmed; tried where it matters",
}
LOCATIONS = {
    "region": "is the region",
    "omit": "is left out",
    "probed": "is left out, and sent where the service misses it",
}


def line(text: str, indent: str = "") -> str:
    """Text, wrapped by hand nowhere: RST takes long lines, and the linter up to 160 characters."""
    words, lines = text.split(" "), [indent]
    for word in words:
        if len(lines[-1]) + len(word) > 140:
            lines.append(" " * len(indent))
        lines[-1] += word if lines[-1].strip(" -") == "" else " " + word
    return "\n".join(one.rstrip() for one in lines)


def code(pattern: str) -> str:
    """A pattern with its blanks in capitals, as code."""
    return "``" + re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), pattern) + "``"


def public_domain(one: Provider) -> str:
    if one.public_domain is None:
        return f"has to be set up and given as custom domain: {one.public_domain_hint}"
    host = (one.endpoint or "https://ENDPOINT").partition("://")[2]
    hint = f", or {one.public_domain_hint}" if one.public_domain_hint else ""
    return re.sub("{(endpoint_host)}", host, code(one.public_domain.replace("{endpoint_host}", host))) + (
        re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), hint)
    )


def cors(one: Provider) -> str:
    if one.cors is False:
        return f"not by the S3 API; instead: {one.cors_instead}"
    text = "by the S3 API" if one.cors else "not confirmed; tried"
    exact = ", with each header named (``*`` is written out)" if one.cors_exact_headers else ""
    return text + exact + (f". {one.cors_instead[0].upper()}{one.cors_instead[1:]}" if one.cors_instead else "")


def facts(one: Provider) -> Iterator[tuple[str, str]]:
    """The rows about a provider."""
    yield "Endpoint", code(one.endpoint) if one.endpoint else f"has to be given, such as {code(one.endpoint_example)}"
    for prefix, endpoint in one.endpoints_elsewhere.items():
        yield f"Endpoint where the region begins with {prefix}", code(endpoint)
    if one.endpoint and "{region}" in one.endpoint:
        yield "Region", f"{one.region_hint}; among them {', '.join(f'``{region}``' for region in one.regions)}"
    else:
        hint = f" ({one.region_hint})" if one.region_hint not in ("", one.signing_region) else ""
        yield "Region", f"``{one.signing_region}`` unless another is given{hint}"
    yield "Public domain", public_domain(one)
    yield (
        "Publication",
        ", else ".join(METHODS[method] for method in one.public_methods)
        + ("; which of them the service honours is tried" if len(one.public_methods) > 1 else ""),
    )
    if one.policy_refused:
        yield "Bucket policies", f"are not used: {one.policy_refused}"
    elif one.policy is False:
        yield "Bucket policies", "there are none"
    yield "ACLs of objects", ACLS[one.object_acl]
    yield "CORS rules", cors(one)
    checksums = "those of boto3 (CRC32)" if one.default_checksums else "only where the API wants one, as Content-MD5"
    yield "Checksums", checksums
    yield (
        "LocationConstraint",
        LOCATIONS[one.location_constraint]
        + (
            f", except in {', '.join(f'``{region}``' for region in one.location_omitted_in)}"
            if one.location_omitted_in
            else ""
        ),
    )
    if one.public_access_block:
        yield "Block Public Access", "is opened as far as the publication needs it"
    if one.max_parts != 10_000:
        yield "Parts of an upload", f"at most {one.max_parts:,}"
    if one.price:
        yield "Price by the month", one.price
    if one.cost:
        yield "Billed besides storage", one.cost


def section(one: Provider) -> Iterator[str]:
    yield f"{one.title} (``{one.name}``)"
    yield "-" * len(f"{one.title} (``{one.name}``)")
    yield ""
    for name, text in facts(one):
        yield line(f"**{name}**: {text}", "- ")
    for note in one.notes:
        yield line(note, "- ")
    if one.sources:
        yield ""
        yield line(f"Sources: {', '.join(one.sources)}.")
    yield ""


def matrix() -> Iterator[str]:
    """What of each profile the tests have seen, and how."""
    yield "How it is known"
    yield "---------------"
    yield ""
    yield line(
        "What the tests run against: *real* is the server itself, *simulated* a real server (Ceph, which enforces ACLs, policies and blocks)"
        " behind a proxy that refuses what the provider's documentation and its users say it refuses, *not confirmed* what no source"
        " tells; there the collection tries instead of assuming."
    )
    yield ""
    yield ".. list-table::"
    yield "   :header-rows: 1"
    yield ""
    for row in (("Profile", *CAPABILITIES), *((name, *capabilities(name).values()) for name in PROFILES)):
        yield from (f"   {'* -' if number == 0 else '  -'} {cell}" for number, cell in enumerate(row))
    yield ""


def page() -> str:
    """The whole page."""
    lines = [HEAD]
    for one in PROVIDERS.values():
        lines += section(one)
    lines += matrix()
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
