"""Signing in by a token: once checked, it is kept in a cookie that scripts cannot read and other sites cannot send.

A session that began at an issuer (sign_in.py) is kept in the same cookie, and ends at the server with signing out.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect
from registry_core.http.caller import COOKIE, refuse_foreign_origin
from registry_core.identity import BearerToken, find_account
from registry_core.oidc.addresses import is_loopback
from registry_core.oidc.federation import Federation
from registry_core.oidc.flow import sign_out_address
from registry_core.oidc.issuer import IssuerAwayError
from registry_core.oidc.sessions import close_session
from registry_core.problems import Problem
from registry_core.service import Platform
from registry_core.settings import Settings

from hallmark_console.rendering import page

AnyRequest = Request[Any, Any, Any]
SESSION_SECONDS: Final = 12 * 3600
REFUSED: Final = "This token is unknown, revoked or expired. Ask an administrator for a new one."


@dataclass(frozen=True, slots=True)
class Login:
    token: str = ""
    next: str = "/"


@get("/login", public=True, include_in_schema=False)
async def login_page(request: AnyRequest, platform: Platform) -> Response[Any]:
    """The form; with `?token=`, as in the link that the first start prints, signs in at once.

    Not when another site's page led here: it would sign a person in under an account of its choice.
    """
    wanted = Login(request.query_params.get("token", ""), request.query_params.get("next", "/"))
    at_once = wanted.token and request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    return await _sign_in(request, platform, wanted) if at_once else _form(request, wanted)


@post("/login", public=True, include_in_schema=False)
async def login(
    request: AnyRequest,
    platform: Platform,
    data: Annotated[Login, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Check the token and keep it in the cookie."""
    refuse_foreign_origin(request)
    return await _sign_in(request, platform, data)


@post("/logout", public=True, include_in_schema=False)
async def logout(request: AnyRequest, platform: Platform) -> Response[Any]:
    """Forget the token in this browser; end a session at the server, and go and sign out at its issuer.

    A token that was pasted stays valid until it is revoked.
    """
    refuse_foreign_origin(request)
    ended = await close_session(platform, federation_of(request), request.cookies.get(COOKIE, ""))
    to = await _sign_out_address(request, platform) if ended else None
    return Redirect(to or "/login", status_code=303, cookies=[session_cookie(request, "", 0)])


async def _sign_out_address(request: AnyRequest, platform: Platform) -> str | None:
    federation = federation_of(request)
    sign_in = federation.sign_in
    if sign_in is None:
        return None
    try:
        metadata = (await federation.verifier.issuer(sign_in.issuer).known()).metadata
        return sign_out_address(sign_in, metadata, f"{origin_of(request, platform)}/login")
    except (IssuerAwayError, Problem):
        return None  # here the session is over all the same


async def _sign_in(request: AnyRequest, platform: Platform, wanted: Login) -> Response[Any]:
    text, limits = wanted.token.strip(), request.app.state.limits
    limits.check_failures(request)
    if not await _accepted(platform, text):
        limits.failed(request)
        return _form(request, wanted, REFUSED, 401)
    return Redirect(local_path(wanted.next), status_code=303, cookies=[session_cookie(request, text, SESSION_SECONDS)])


async def _accepted(platform: Platform, text: str) -> bool:
    token = BearerToken.parse(text)
    if token is None or token.session or "\x00" in text:
        return False
    account = await find_account(platform.reader, token.account)
    return account.accepts(token, platform.clock())


def _form(request: AnyRequest, wanted: Login, error: str = "", status_code: int = 200) -> Response[str]:
    sign_in = federation_of(request).sign_in
    issuer = sign_in.name if sign_in else ""
    return page("login.html", next=local_path(wanted.next), error=error, issuer=issuer, status_code=status_code)


def federation_of(request: AnyRequest) -> Federation:
    found: Federation = request.app.state.authenticator.federation
    return found


def origin_of(request: AnyRequest, platform: Platform) -> str:
    """`https://host`, as browsers have it: from the settings, else what a browser on this machine says. Raises Problem.

    A host that anybody may claim is none to come back to.
    """
    told = platform.settings.public_url.rstrip("/") or f"{request.url.scheme}://{request.headers.get('host', '')}"
    if not platform.settings.public_url and not is_loopback(told):
        raise Problem(
            503, "no-public-url", "this server does not know its own address, so no issuer can lead back to it",
            fix="set HALLMARK_PUBLIC_URL to where browsers reach the console",
        )  # fmt: skip
    return told


def is_secure(request: AnyRequest) -> bool:
    """Whether browsers come by https, be it ended before us."""
    settings: Settings = request.app.state.platform.settings
    return request.url.scheme == "https" or settings.public_url.startswith("https://")


def session_cookie(request: AnyRequest, value: str, seconds: int) -> Cookie:
    """Strict: other sites' links and forms come without it."""
    secure = is_secure(request)
    return Cookie(COOKIE, value=value, path="/", max_age=seconds, secure=secure, httponly=True, samesite="strict")


def local_path(path: str) -> str:
    """The path if it leads to a page of this site, else `/`: a sign-in link must not lead elsewhere."""
    plain = path.isascii() and path.isprintable() and "\\" not in path
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"
