"""The SDK's front door."""

from hallmark.aio.api.aliases import Aliases
from hallmark.aio.api.audit import Audit
from hallmark.aio.api.downloads import Downloads
from hallmark.aio.api.identities import Identities
from hallmark.aio.api.imports import Imports
from hallmark.aio.api.lifecycle import Lifecycle
from hallmark.aio.api.privacy import Privacy
from hallmark.aio.api.sources import Sources
from hallmark.aio.api.watching import Watching


class AsyncClient(Downloads, Watching, Aliases, Lifecycle, Audit, Identities, Privacy, Sources, Imports):
    """One Hallmark server as one account.

    `url` and `token` default to `HALLMARK_URL` and `HALLMARK_TOKEN`, then to what `hallmark login` kept. Every write
    carries an Idempotency-Key made once per call, and is sent again, for `retry.seconds`, while the server is not
    there: killed in the middle, it loses and doubles nothing. Methods return the server's JSON documents; they raise
    `HallmarkError` for a refusal and `UnreachableError` when no answer came in time.
    """
