# Made from aio/client.py by `make sdk`: change it there.
"""The SDK's front door."""

from hallmark.api.aliases import Aliases
from hallmark.api.audit import Audit
from hallmark.api.downloads import Downloads
from hallmark.api.identities import Identities
from hallmark.api.imports import Imports
from hallmark.api.lifecycle import Lifecycle
from hallmark.api.privacy import Privacy
from hallmark.api.sources import Sources
from hallmark.api.watching import Watching


class Client(Downloads, Watching, Aliases, Lifecycle, Audit, Identities, Privacy, Sources, Imports):
    """One Hallmark server as one account.

    `url` and `token` default to `HALLMARK_URL` and `HALLMARK_TOKEN`, then to what `hallmark login` kept. Every write
    carries an Idempotency-Key made once per call, and is sent again, for `retry.seconds`, while the server is not
    there: killed in the middle, it loses and doubles nothing. Methods return the server's JSON documents; they raise
    `HallmarkError` for a refusal and `UnreachableError` when no answer came in time.
    """
