# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of an application, derived from provider, region and bucket."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.selfhosted.media.plugins.filter.s3_settings import FilterModule
from ansible_collections.selfhosted.media.plugins.module_utils._s3.settings import derive

AWS = {"provider": "aws", "region": "eu-central-1", "bucket": "media"}
CEPH = {"provider": "ceph", "bucket": "media", "endpoint_url": "https://objects.example.org"}


def settings(**options: Any) -> dict[str, str]:
    result: dict[str, str] = FilterModule().filters()["s3_settings"]("bookwyrm", **options)
    return result


def test_aws_has_everything_set() -> None:
    assert settings(**AWS) == {
        "USE_S3": "true",
        "AWS_STORAGE_BUCKET_NAME": "media",
        "AWS_S3_REGION_NAME": "eu-central-1",
        "AWS_S3_CUSTOM_DOMAIN": "media.s3.eu-central-1.amazonaws.com",
        "AWS_S3_ENDPOINT_URL": "https://s3.eu-central-1.amazonaws.com",
        "AWS_DEFAULT_ACL": "",
    }


def test_a_path_style_domain_gets_its_content_security_policy() -> None:
    values = settings(**CEPH)
    assert values["AWS_S3_CUSTOM_DOMAIN"] == "objects.example.org/media"
    assert values["CSP_ADDITIONAL_HOSTS"] == "https://objects.example.org/media/"
    assert values["AWS_DEFAULT_ACL"] == "public-read" and values["AWS_S3_REGION_NAME"] == "default"
    assert "AWS_S3_URL_PROTOCOL" not in values


def test_plain_http_is_said() -> None:
    values = settings(**{**CEPH, "endpoint_url": "http://127.0.0.1:8000/"})
    assert values["AWS_S3_URL_PROTOCOL"] == "http:"
    assert values["AWS_S3_ENDPOINT_URL"] == "http://127.0.0.1:8000"
    assert values["CSP_ADDITIONAL_HOSTS"] == "http://127.0.0.1:8000/media/"


def test_a_domain_in_front_is_https_though_the_endpoint_is_not() -> None:
    values = settings(**{**CEPH, "endpoint_url": "http://rgw:8000"}, custom_domain="media.example.org")
    assert values["AWS_S3_CUSTOM_DOMAIN"] == "media.example.org"
    assert "AWS_S3_URL_PROTOCOL" not in values and "CSP_ADDITIONAL_HOSTS" not in values


def test_an_http_site_with_https_storage_names_the_protocol() -> None:
    assert settings(**AWS, site_protocol="http")["AWS_S3_URL_PROTOCOL"] == "https:"


@pytest.mark.parametrize(
    ("given", "domain", "scheme"),
    [
        ("media.example.org", "media.example.org", "https"),
        ("https://media.example.org/", "media.example.org", "https"),
        ("http://media.example.org:81", "media.example.org:81", "http"),
        ("cdn.example.org/media/", "cdn.example.org/media", "https"),
        ("None", "media.s3.eu-central-1.amazonaws.com", "https"),
        ("", "media.s3.eu-central-1.amazonaws.com", "https"),
    ],
)
def test_custom_domains_are_mended(given: str, domain: str, scheme: str) -> None:
    place = derive(**AWS, custom_domain=given)
    assert (place.domain, place.scheme) == (domain, scheme)
    assert place.public_url == f"{scheme}://{domain}"


def test_a_bucket_with_dots_or_an_endpoint_of_ones_own_is_addressed_by_path() -> None:
    assert derive(**{**AWS, "bucket": "media.example.org"}).domain == "s3.eu-central-1.amazonaws.com/media.example.org"
    assert derive(**AWS, endpoint_url="http://127.0.0.1:5000").domain == "127.0.0.1:5000/media"
    assert derive("aws", "media", "cn-north-1").domain == "media.s3.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize(
    ("release", "absent", "present"),
    [
        ("0.4.6", {"AWS_DEFAULT_ACL", "AWS_S3_URL_PROTOCOL", "CSP_ADDITIONAL_HOSTS"}, set()),
        ("0.6.0", {"AWS_DEFAULT_ACL", "AWS_S3_URL_PROTOCOL"}, {"CSP_ADDITIONAL_HOSTS"}),
        ("0.7.5", {"AWS_DEFAULT_ACL"}, {"AWS_S3_URL_PROTOCOL", "CSP_ADDITIONAL_HOSTS"}),
        ("v0.8.0", set(), {"AWS_DEFAULT_ACL", "AWS_S3_URL_PROTOCOL", "CSP_ADDITIONAL_HOSTS"}),
    ],
)
def test_releases_differ(release: str, absent: set[str], present: set[str]) -> None:
    names = set(settings(**{**CEPH, "endpoint_url": "http://127.0.0.1:8000"}, release=release))
    assert not absent & names and present <= names


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"provider": "aws", "bucket": "media"}, "the region is missing"),
        ({"provider": "ceph", "bucket": "media"}, "endpoint_url is missing"),
        ({"provider": "nimbus", "bucket": "media"}, "not known; known are aws"),
        ({**AWS, "bucket": ""}, "name is missing"),
        ({**CEPH, "endpoint_url": "objects.example.org"}, "write https://objects.example.org"),
        ({**CEPH, "endpoint_url": "https://objects.example.org/media"}, "Write https://objects.example.org"),
        ({**AWS, "custom_domain": "ftp://media.example.org"}, "write host"),
        ({**AWS, "custom_domain": "media example"}, "not a host"),
        ({**AWS, "release": "0.7.5"}, "Upgrade BookWyrm to 0.8.0"),
        ({**AWS, "release": "latest"}, "not a release number"),
        ({**CEPH, "release": "0.5.5"}, "Upgrade BookWyrm to 0.6.0"),
        ({**AWS, "public_method": "magic"}, "not one of"),
    ],
)
def test_nonsense_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        settings(**options)
    assert said in str(caught.value)


def test_an_old_release_on_aws_by_object_acl() -> None:
    assert "AWS_DEFAULT_ACL" not in settings(**AWS, release="0.7.5", public_method="acl")


def test_an_unknown_application_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="known are bookwyrm"):
        FilterModule().filters()["s3_settings"]("wiki", **AWS)
