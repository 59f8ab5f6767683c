# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of an application, derived from provider, region and bucket."""

from __future__ import annotations

import re
from typing import Any, Optional

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.selfhosted.media.plugins.filter.s3_settings import FilterModule
from ansible_collections.selfhosted.media.plugins.module_utils._s3.provider_table import PROVIDERS
from ansible_collections.selfhosted.media.plugins.module_utils._s3.settings import derive

AWS: dict[str, Any] = {"provider": "aws", "region": "eu-central-1", "bucket": "media"}
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
        "AWS_S3_URL_PROTOCOL": "https:",
    }


def test_a_path_style_domain_gets_its_content_security_policy() -> None:
    values = settings(**CEPH)
    assert values["AWS_S3_CUSTOM_DOMAIN"] == "objects.example.org/media"
    assert values["CSP_ADDITIONAL_HOSTS"] == "https://objects.example.org/media/"
    assert values["AWS_DEFAULT_ACL"] == "public-read" and values["AWS_S3_REGION_NAME"] == "default"
    assert values["AWS_S3_URL_PROTOCOL"] == "https:"


def test_plain_http_is_said() -> None:
    values = settings(**{**CEPH, "endpoint_url": "http://127.0.0.1:8000/"})
    assert values["AWS_S3_URL_PROTOCOL"] == "http:"
    assert values["AWS_S3_ENDPOINT_URL"] == "http://127.0.0.1:8000"
    assert values["CSP_ADDITIONAL_HOSTS"] == "http://127.0.0.1:8000/media/"


def test_a_domain_in_front_is_https_though_the_endpoint_is_not() -> None:
    values = settings(**{**CEPH, "endpoint_url": "http://rgw:8000"}, custom_domain="media.example.org")
    assert values["AWS_S3_CUSTOM_DOMAIN"] == "media.example.org"
    assert values["AWS_S3_URL_PROTOCOL"] == "https:" and "CSP_ADDITIONAL_HOSTS" not in values


def test_an_http_site_with_https_storage_names_the_protocol() -> None:
    assert settings(**AWS, site_protocol="http")["AWS_S3_URL_PROTOCOL"] == "https:"


@pytest.mark.parametrize(
    ("given", "domain", "scheme"),
    [
        ("media.example.org", "media.example.org", "https"),
        ("http://media.example.org:81", "media.example.org:81", "http"),
        ("cdn.example.org/media", "cdn.example.org/media", "https"),
        ("s3.eu-central-1.amazonaws.com", "media.s3.eu-central-1.amazonaws.com", "https"),
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
        (
            {**CEPH, "endpoint_url": "https://objects.example.org/media"},
            "bucket in it, which is named apart; write https://objects.example.org",
        ),
        ({**AWS, "custom_domain": "ftp://media.example.org"}, "has a scheme"),
        (
            {**AWS, "custom_domain": "https://media.example.org/"},
            "has a scheme, which applications add themselves; write media.example.org",
        ),
        ({**AWS, "custom_domain": "media.example.org/"}, "has a slash at its end"),
        ({**AWS, "custom_domain": "/media.example.org"}, "has a slash at its beginning"),
        (
            {**AWS, "bucket": "my.books", "custom_domain": "my.books.s3.eu-central-1.amazonaws.com"},
            "certificate does not cover",
        ),
        (
            {**AWS, "endpoint_url": "https://media.s3.eu-central-1.amazonaws.com"},
            "bucket in it, which is named apart; write https://s3.eu",
        ),
        ({**CEPH, "endpoint_url": "http://objects.example.org", "site_protocol": "https"}, "mixed content"),
        ({**AWS, "provider": "amazn"}, "did you mean aws?"),
        ({**AWS, "provider": "gcs"}, "did you mean google?"),
        ({**AWS, "provider": "R2"}, "did you mean cloudflare_r2?"),
        ({"provider": "linode", "bucket": "media", "region": "eu-central"}, "did you mean eu-central-1?"),
        ({"provider": "scaleway", "bucket": "media", "region": "eu-central-1"}, "there is no region 'eu-central-1'"),
        ({"provider": "cloudflare_r2", "bucket": "media"}, "such as https://ACCOUNT_ID.r2"),
        (
            {"provider": "cloudflare_r2", "bucket": "media", "endpoint_url": "https://a1.r2.cloudflarestorage.com"},
            "give it as custom_domain",
        ),
        ({**AWS, "exports": "media"}, "is that of the media"),
        ({**CEPH, "exports": "archives", "release": "0.7.5"}, "cannot keep exports on S3"),
        ({**CEPH, "endpoint_url": "https://objects.example.org/s3"}, "has a path"),
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


@pytest.mark.parametrize(
    ("option", "given", "instead"),
    [
        ("custom_domain", "me:pass@word@media.example.org/", "media.example.org/"),
        ("custom_domain", "https://me@media.example.org", "media.example.org"),
        ("endpoint_url", "https://me:pass@objects.example.org:9/s3", "https://objects.example.org:9/s3"),
    ],
)
def test_a_user_in_what_everybody_can_read(option: str, given: str, instead: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        settings(**{**CEPH, option: given})
    assert str(caught.value).endswith(
        f"{option} has a user or a password in it, and others can read it; write {instead}"
    )


def test_an_old_release_on_aws_by_object_acl() -> None:
    assert "AWS_DEFAULT_ACL" not in settings(**AWS, release="0.7.5", public_method="acl")


def test_an_unknown_application_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match="known are bookwyrm"):
        FilterModule().filters()["s3_settings"]("wiki", **AWS)


@pytest.mark.parametrize(
    ("provider", "region", "endpoint", "domain", "acl"),
    [
        ("scaleway", "fr-par", "https://s3.fr-par.scw.cloud", "media.s3.fr-par.scw.cloud", "public-read"),
        (
            "digitalocean",
            "fra1",
            "https://fra1.digitaloceanspaces.com",
            "media.fra1.digitaloceanspaces.com",
            "public-read",
        ),
        (
            "linode",
            "eu-central-1",
            "https://eu-central-1.linodeobjects.com",
            "media.eu-central-1.linodeobjects.com",
            "public-read",
        ),
        (
            "backblaze",
            "eu-central-003",
            "https://s3.eu-central-003.backblazeb2.com",
            "media.s3.eu-central-003.backblazeb2.com",
            "",
        ),
        ("google", "", "https://storage.googleapis.com", "media.storage.googleapis.com", "public-read"),
        ("wasabi", "eu-central-2", "https://s3.eu-central-2.wasabisys.com", "media.s3.eu-central-2.wasabisys.com", ""),
        ("hetzner", "fsn1", "https://fsn1.your-objectstorage.com", "media.fsn1.your-objectstorage.com", "public-read"),
        ("ovh", "gra", "https://s3.gra.io.cloud.ovh.net", "media.s3.gra.io.cloud.ovh.net", "public-read"),
        (
            "ovh",
            "us-east-va",
            "https://s3.us-east-va.io.cloud.ovh.us",
            "media.s3.us-east-va.io.cloud.ovh.us",
            "public-read",
        ),
        ("exoscale", "ch-gva-2", "https://sos-ch-gva-2.exo.io", "media.sos-ch-gva-2.exo.io", "public-read"),
        ("vultr", "ams1", "https://ams1.vultrobjects.com", "media.ams1.vultrobjects.com", "public-read"),
        ("ionos", "eu-central-3", "https://s3.eu-central-3.ionoscloud.com", "s3.eu-central-3.ionoscloud.com/media", ""),
        ("ionos", "de", "https://s3-eu-central-1.ionoscloud.com", "s3-eu-central-1.ionoscloud.com/media", ""),
    ],
)
def test_a_hosted_service_needs_its_name_a_region_and_a_bucket(
    provider: str, region: str, endpoint: str, domain: str, acl: str
) -> None:
    values = settings(provider=provider, region=region, bucket="media")
    assert (values["AWS_S3_ENDPOINT_URL"], values["AWS_S3_CUSTOM_DOMAIN"]) == (endpoint, domain)
    assert values["AWS_DEFAULT_ACL"] == acl
    assert values["AWS_S3_REGION_NAME"] == region or provider == "google"
    # and the other way round: what is told from the endpoint alone
    again = settings(endpoint_url=endpoint, bucket="media", **({"region": region} if provider == "ionos" else {}))
    assert {**again, "AWS_S3_REGION_NAME": ""} == {**values, "AWS_S3_REGION_NAME": ""}


def test_every_entry_can_be_derived() -> None:
    for name, known in PROVIDERS.items():
        region = known.regions[0] if known.regions else ""
        endpoint = "" if known.endpoint else known.endpoint_example
        place = derive(name, "media", region, endpoint, "media.example.org")
        assert place.provider is known and place.region and place.domain == "media.example.org"
        for region in known.regions:
            assert not known.region_pattern or re.fullmatch(known.region_pattern, region), (name, region)


def test_linodes_first_step_is_mended() -> None:
    """The guide's first AWS_S3_CUSTOM_DOMAIN is the cluster alone; copies made with it land in the wrong place."""
    place = derive("linode", "media", "eu-central-1", custom_domain="eu-central-1.linodeobjects.com")
    assert place.domain == "media.eu-central-1.linodeobjects.com"


def test_a_region_beside_an_endpoint_is_left_alone() -> None:
    """DigitalOcean's own guide for boto3 signs for us-east-1, whatever the data centre."""
    values = settings(endpoint_url="https://nyc3.digitaloceanspaces.com", region="us-east-1", bucket="media")
    assert values["AWS_S3_REGION_NAME"] == "us-east-1"
    assert values["AWS_S3_CUSTOM_DOMAIN"] == "media.nyc3.digitaloceanspaces.com"
    assert settings(endpoint_url="https://nyc3.digitaloceanspaces.com", bucket="media")["AWS_S3_REGION_NAME"] == "nyc3"


def test_exports_have_a_bucket_of_their_own() -> None:
    values = settings(**AWS, exports="media-exports", release="0.9.2")
    assert (values["USE_S3_FOR_EXPORTS"], values["EXPORTS_STORAGE_BUCKET_NAME"]) == ("true", "media-exports")
    assert values["AWS_S3_ENDPOINT_URL"] and values["AWS_S3_REGION_NAME"]


def test_gramps_web_needs_no_public_domain() -> None:
    values = FilterModule().filters()["s3_settings"](
        "gramps_web", bucket="family", provider="cloudflare_r2", endpoint_url="https://a1.r2.cloudflarestorage.com"
    )
    assert values == {
        "GRAMPSWEB_MEDIA_BASE_DIR": "s3://family",
        "AWS_DEFAULT_REGION": "auto",
        "AWS_ENDPOINT_URL": "https://a1.r2.cloudflarestorage.com",
    }


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("", None),
        ("https://s3.eu-central-1.amazonaws.com", None),
        ("https://s3.dualstack.eu-central-1.amazonaws.com", "https://s3.dualstack.eu-central-1.amazonaws.com"),
    ],
)
def test_gramps_web_is_told_another_endpoint_of_aws(given: str, written: Optional[str]) -> None:
    values = FilterModule().filters()["s3_settings"]("gramps_web", **AWS, endpoint_url=given)
    assert values.get("AWS_ENDPOINT_URL") == written
