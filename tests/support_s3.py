"""A real S3 server for tests."""

import base64
import hashlib

import httpx

from bench.object_server import bucket, s3_server, signed

__all__ = ["bucket", "locked_bucket", "s3_server", "signed"]


def locked_bucket(endpoint: str, name: str) -> None:
    """A bucket with object lock, in which every object is kept for a day, whoever asks."""
    url = f"{endpoint}/{name}"
    rule = (
        b"<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>"
        b"<Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>"
    )
    with httpx.Client() as client:
        client.send(signed("PUT", url, x_amz_bucket_object_lock_enabled="true")).raise_for_status()
        md5 = base64.b64encode(hashlib.md5(rule).digest()).decode()
        client.send(signed("PUT", f"{url}?object-lock", rule, content_md5=md5)).raise_for_status()
