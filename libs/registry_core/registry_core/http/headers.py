"""Headers of every answer: what browsers are to keep it from, and what is left of the caller's quota.

After OWASP's list of secure headers (owasp.org/www-project-secure-headers, "ci/headers_add.json").
"""

from typing import Final

from litestar.types import Message, Scope

from registry_core.http.limits import quota_headers

Headers = list[tuple[bytes, bytes]]

_ALWAYS: Final[Headers] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"x-permitted-cross-domain-policies", b"none"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"accelerometer=(), autoplay=(), camera=(), clipboard-read=(), display-capture=(), geolocation=(), "
        b"gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=(), web-share=()",
    ),
]
_POLICY: Final[Headers] = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"font-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
]
"""Not for the API's reference, which loads its own viewer. Without `form-action`: browsers hold it against redirects
that follow, too, and whoever signs out may be led on to where they signed in."""
_HTTPS: Final[Headers] = [(b"strict-transport-security", b"max-age=31536000; includeSubDomains")]
"""Where the request came so (RFC 6797, section 7.2 forbids it over plain HTTP)."""
_NOT_KEPT: Final = (b"cache-control", b"no-store")
"""Where the route says nothing: what is told to one caller is kept by nobody."""


async def add_headers(message: Message, scope: Scope) -> None:
    """A Litestar `before_send` hook, so that answers to unknown addresses have them, too."""
    if message["type"] != "http.response.start":
        return
    headers = [*message["headers"], *_ALWAYS, *quota_headers(scope)]
    if not scope["path"].startswith("/schema"):
        headers += _POLICY
    if scope["scheme"] == "https":
        headers += _HTTPS
    if not any(name.lower() == b"cache-control" for name, _ in headers):
        headers.append(_NOT_KEPT)
    message["headers"] = headers
