"""Signing in at an issuer: the way out, the way back, and sessions for the command line."""

from typing import Any, Final

from litestar import Request, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect
from registry_core.http.caller import COOKIE, refuse_foreign_origin
from registry_core.oidc.config import SignIn
from registry_core.oidc.federation import unknown_login
from registry_core.oidc.flow import SECONDS, Pending, SignInError, authorization, code_of, identity_for
from registry_core.oidc.issuer import IssuerAwayError, Metadata
from registry_core.oidc.sessions import Opened, close_session, open_session
from registry_core.oidc.verifier import Identity, looks_like_jwt
from registry_core.problems import Problem
from registry_core.service import Platform

from hallmark_console.rendering import page
from hallmark_console.session import federation_of, is_secure, local_path, origin_of, session_cookie

AnyRequest = Request[Any, Any, Any]
_CALLBACK: Final = "/login/callback"


@get("/login/oidc", public=True, include_in_schema=False)
async def begin(request: AnyRequest, platform: Platform) -> Response[Any]:
    """To the issuer; what its answer has to match stays in this browser, sealed."""
    try:
        sign_in, metadata = await _issuer(request)
        pending = Pending.begin(
            f"{origin_of(request, platform)}{_CALLBACK}", local_path(request.query_params.get("next", "/")),
            platform.clock().timestamp(),
        )  # fmt: skip
        there = authorization(sign_in, metadata, pending)
    except (SignInError, Problem) as error:
        return _failed(error)
    kept = pending.sealed(await federation_of(request).logins.secret("sign-in cookie"))
    return Redirect(there, status_code=303, cookies=[_pending_cookie(request, kept, SECONDS)])


@get(_CALLBACK, public=True, include_in_schema=False)
async def callback(request: AnyRequest, platform: Platform) -> Response[Any]:
    """Back from the issuer: whoever it vouches for is signed in, or told what to ask an administrator for."""
    try:
        answer = await _back(request, platform)
    except (SignInError, Problem) as error:
        answer = _failed(error)
    answer.set_cookie(_pending_cookie(request, "", 0))
    return answer


async def _back(request: AnyRequest, platform: Platform) -> Response[Any]:
    federation = federation_of(request)
    sign_in, metadata = await _issuer(request)
    key = await federation.logins.secret("sign-in cookie")
    kept = request.cookies.get(_pending_name(request), "")
    pending = Pending.opened(kept, key, platform.clock().timestamp())
    code = code_of(dict(request.query_params.items()), pending, metadata)
    identity = await identity_for(code, sign_in, metadata, pending, federation.verifier)
    opened = await open_session(platform, federation, sign_in, identity)
    return _stranger(sign_in, identity) if opened is None else _signed_in(request, sign_in, pending, opened)


def _signed_in(request: AnyRequest, sign_in: SignIn, pending: Pending, opened: Opened) -> Response[str]:
    """A page that goes on by itself: a redirect would still be the issuer's doing, and come without a strict cookie."""
    answer = page("signed_in.html", next=pending.next)
    answer.set_cookie(session_cookie(request, opened.token, int(sign_in.session.total_seconds())))
    return answer


def _stranger(sign_in: SignIn, identity: Identity) -> Response[str]:
    return page(
        "stranger.html", status_code=403, issuer=sign_in.name, address=identity.issuer, subject=identity.subject,
        by_role=bool(sign_in.roles_claim),
    )  # fmt: skip


def _failed(error: SignInError | Problem) -> Response[str]:
    detail, fix = (error.detail, error.fix) if isinstance(error, Problem) else (str(error), "")
    away = isinstance(error, Problem) and error.status >= 500
    return page("sign_in_failed.html", status_code=503 if away else 400, detail=detail, fix=fix if away else "")


async def _issuer(request: AnyRequest) -> tuple[SignIn, Metadata]:
    federation = federation_of(request)
    if federation.sign_in is None:
        raise Problem(404, "not-found", "this server has no issuer to sign in at", fix="sign in with an access token")
    try:
        return federation.sign_in, (await federation.verifier.issuer(federation.sign_in.issuer).known()).metadata
    except IssuerAwayError as error:
        raise Problem(
            503, "issuer-away", str(error), fix="try again in half a minute, or sign in with an access token"
        ) from None


def _pending_name(request: AnyRequest) -> str:
    return "__Host-hallmark_sign_in" if is_secure(request) else "hallmark_sign_in"


def _pending_cookie(request: AnyRequest, value: str, seconds: int) -> Cookie:
    """Lax: it has to come along when the issuer leads back."""
    return Cookie(
        _pending_name(request), value=value, path="/", max_age=seconds, secure=is_secure(request), httponly=True,
        samesite="lax",
    )  # fmt: skip


@get("/v1/sign-in", public=True)
async def sign_in_at(request: AnyRequest) -> dict[str, Any]:
    """Where people sign in, for `hallmark login --oidc`."""
    at, _ = await _issuer(request)
    return {"issuer": at.issuer, "name": at.name, "client_id": at.cli_client_id, "scopes": at.scopes}


@post("/v1/sessions", public=True)
async def create_session(request: AnyRequest, platform: Platform) -> dict[str, Any]:
    """A session in place of an issuer's token, which ends sooner. The token is shown this once."""
    federation, text = federation_of(request), _bearer(request)
    if federation.sign_in is None or not looks_like_jwt(text):
        raise Problem(401, "unauthorised", "no issuer's token was sent", fix="run `hallmark login --oidc`")
    identity = await federation.verifier.verify(text)
    opened = await open_session(platform, federation, federation.sign_in, identity)
    if opened is None:
        raise unknown_login(identity)
    return {"account": opened.account, "token": opened.token, "expires_at": opened.expires_at}


@delete("/v1/sessions/current", public=True, status_code=200)
async def end_session(request: AnyRequest, platform: Platform) -> dict[str, Any]:
    """Sign out: the session that this request comes with is over."""
    refuse_foreign_origin(request)
    text = _bearer(request) or request.cookies.get(COOKIE, "")
    return {"ended": await close_session(platform, federation_of(request), text)}


def _bearer(request: AnyRequest) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


ROUTES: Final = [begin, callback, sign_in_at, create_session, end_session]
