"""HTTP of approval: promotions, reviews, exceptions, policies."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hallmark_approval.routes import exceptions, policies, promotions, reviews


def make_routes(signing_key: Ed25519PrivateKey) -> list[Any]:
    """All of them, around the key that signs decisions."""
    return [*promotions.ROUTES, *reviews.make_routes(signing_key), *exceptions.ROUTES, *policies.ROUTES]
