"""Signing in: a token, once checked, is kept in a cookie that scripts cannot read and other sites cannot send."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect
from registry_core.handlers import load
from registry_core.http.caller import COOKIE, refuse_foreign_origin
from registry_core.identity import Account, BearerToken, account_stream
from registry_core.service import Platform

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
    return await _sign_in(request, platform, wanted) if at_once else _form(wanted)


@post("/login", public=True, include_in_schema=False)
async def login(
    request: AnyRequest,
    platform: Platform,
    data: Annotated[Login, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Check the token and keep it in the cookie."""
    refuse_foreign_origin(request)
    return await _sign_in(request, platform, data)


@post("/logout", public=True, include_in_schema=False, sync_to_thread=False)
def logout(request: AnyRequest) -> Response[Any]:
    """Forget the token in this browser. The token itself stays valid until it is revoked."""
    return Redirect("/login", status_code=303, cookies=[_cookie(request, "", 0)])


async def _sign_in(request: AnyRequest, platform: Platform, wanted: Login) -> Response[Any]:
    text = wanted.token.strip()
    if not await _accepted(platform, text):
        return _form(wanted, REFUSED, 401)
    return Redirect(local_path(wanted.next), status_code=303, cookies=[_cookie(request, text, SESSION_SECONDS)])


async def _accepted(platform: Platform, text: str) -> bool:
    token = BearerToken.parse(text)
    if token is None or "\x00" in text:
        return False
    account = await load(platform.reader, Account(), account_stream(token.account))
    return account.accepts(token, platform.clock())


def _form(wanted: Login, error: str = "", status_code: int = 200) -> Response[str]:
    return page("login.html", next=local_path(wanted.next), error=error, status_code=status_code)


def _cookie(request: AnyRequest, value: str, seconds: int) -> Cookie:
    secure = request.url.scheme == "https"
    return Cookie(COOKIE, value=value, path="/", max_age=seconds, secure=secure, httponly=True, samesite="strict")


def local_path(path: str) -> str:
    """The path if it leads to a page of this site, else `/`: a sign-in link must not lead elsewhere."""
    plain = path.isascii() and path.isprintable() and "\\" not in path
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"
