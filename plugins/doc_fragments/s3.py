# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  provider:
    description:
      - The service, by its name in the provider table. Decides the endpoint, how a bucket is published, which checksums are sent, and the
        limits of uploads.
      - One of V(aws), V(scaleway), V(digitalocean), V(linode), V(backblaze), V(cloudflare_r2), V(google), V(wasabi), V(hetzner), V(ovh),
        V(exoscale), V(vultr), V(ionos), V(storj), V(minio), V(ceph), V(garage), V(seaweedfs), V(generic).
      - V(auto) tells it from the host name of O(endpoint_url); a host that is not known is V(generic).
    type: str
    default: auto
  endpoint_url:
    description:
      - URL of the S3 service, scheme included, without the bucket. Needed where the service has no endpoint of its own, such as V(minio),
        V(ceph), V(garage), V(seaweedfs) and V(generic), and for V(cloudflare_r2), whose endpoint names the account.
      - If not set, the environment variables E(AWS_ENDPOINT_URL_S3) and E(AWS_ENDPOINT_URL) are used, as in boto3.
    type: str
  region:
    description:
      - Region of the bucket. It is part of every signature, so it must be what the service expects.
      - If not set, it is found as boto3 does (E(AWS_DEFAULT_REGION), the configuration files), else taken from O(endpoint_url).
    type: str
  access_key:
    description: Access key ID. If not set, credentials are found as boto3 does.
    type: str
  secret_key:
    description: Secret access key. Needed with O(access_key).
    type: str
  session_token:
    description: Session token of temporary credentials.
    type: str
  profile:
    description: Name of a profile in the AWS configuration files. Not together with O(access_key).
    type: str
  validate_certs:
    description: Whether the certificate of the service is checked. Set to V(false) only for a test.
    type: bool
    default: true
  aws_ca_bundle:
    description: Path on the target of a file with the certificate authorities to trust instead of the usual ones.
    type: path
  addressing_style:
    description:
      - Whether the bucket stands in the path or in the host name of requests.
      - V(auto) leaves it to boto3, that is V(path) with O(endpoint_url) and V(virtual) without.
    type: str
    default: auto
    choices: [auto, path, virtual]
requirements:
  - python >= 3.9
  - boto3 >= 1.20.0
notes:
  - B(Secrets) are never part of a result, a diff or an error message.
  - Proxies are taken from E(HTTP_PROXY), E(HTTPS_PROXY) and E(NO_PROXY), as boto3 does.
"""
