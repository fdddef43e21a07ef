"""An artifact store that does not answer is told apart from an object that is not there."""

import socket
from datetime import timedelta

import pytest
from obstore.store import S3Store
from registry_core.objects import ObjectStorage
from registry_core.values import sha256_digest


async def test_a_store_that_refuses_connections_is_a_failure_that_passes() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, and nobody listens: connections are refused
        store = S3Store(
            "bucket",
            endpoint=f"http://127.0.0.1:{reserved.getsockname()[1]}",
            access_key_id="a",
            secret_access_key="b",
            client_options={"allow_http": True},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=5)},
        )
        objects = ObjectStorage(store, "s3://bucket")
        with pytest.raises(ConnectionError, match="artifact store"):
            await objects.get(sha256_digest(b""))
        with pytest.raises(ConnectionError, match="artifact store"):
            [chunk async for chunk in objects.stream(sha256_digest(b""))]
