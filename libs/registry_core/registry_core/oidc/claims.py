"""Whether a token whose signature holds is meant for us, now. Pure.

OpenID Connect Core 1.0, section 3.1.3.7; RFC 7519, section 4.1; RFC 8725.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

Claims = Mapping[str, Any]
LONGEST_SUBJECT: Final = 512
"""Characters. The specification allows 255; GitHub's can be longer."""


class ClaimsError(ValueError):
    """Why a token opens nothing."""


@dataclass(frozen=True, slots=True)
class Expected:
    issuer: str
    audiences: Collection[str]
    """One of these has to be in `aud`."""
    now: float
    """Seconds since 1970."""
    skew: float
    """Seconds by which two clocks may differ."""


def check(claims: Claims, expected: Expected) -> None:
    """Raises ClaimsError."""
    if claims.get("iss") != expected.issuer:
        raise ClaimsError("it is another issuer's")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.strip() or len(subject) > LONGEST_SUBJECT or "\0" in subject:
        raise ClaimsError("it names no subject")
    if "cnf" in claims:
        raise ClaimsError("it is bound to a key (`cnf`), which cannot be asked for over HTTP; send one that is not")
    _check_audience(claims, expected.audiences)
    _check_times(claims, expected)


def _check_audience(claims: Claims, ours: Collection[str]) -> None:
    named = claims.get("aud")
    audiences = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    if not any(isinstance(each, str) and each in ours for each in audiences):
        raise ClaimsError(f"it is made for {str(named)[:200]!r}; ours is {' or '.join(sorted(ours))}")
    party = claims.get("azp", claims.get("client_id"))
    if len(audiences) > 1 and (not isinstance(party, str) or party not in ours):
        raise ClaimsError(f"it is made for several, and by {str(party)[:200]!r}, which is none of {sorted(ours)}")


def _check_times(claims: Claims, expected: Expected) -> None:
    now, skew = expected.now, expected.skew
    expires, issued = _seconds(claims, "exp"), _seconds(claims, "iat")
    if now >= expires + skew:
        raise ClaimsError(f"it expired {now - expires:.0f} s ago")
    if issued > now + skew:
        raise ClaimsError(f"it is issued {issued - now:.0f} s from now; set the clocks by NTP")
    if "nbf" in claims and _seconds(claims, "nbf") > now + skew:
        raise ClaimsError(f"it does not hold for another {_seconds(claims, 'nbf') - now:.0f} s")


def _seconds(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or abs(value) > 1e12:
        raise ClaimsError(f"its `{name}` is no time")
    return float(value)


def check_sign_in(claims: Claims, client_id: str, nonce: str) -> None:
    """What an ID token owes to the sign-in that asked for it. Raises ClaimsError."""
    if claims.get("nonce") != nonce:
        raise ClaimsError("it answers another sign-in (`nonce`)")
    if claims.get("azp", client_id) != client_id:
        raise ClaimsError("it was made for another client (`azp`)")
