"""HTTP of the scanner: advisories come in."""

from datetime import timedelta
from typing import Any

from litestar import Request, post
from registry_core.events import Event
from registry_core.events.governance import AdvisoryPublished, AffectedPackage
from registry_core.http import Caller
from registry_core.http.openapi import with_body
from registry_core.objects import EVIDENCE_LIMIT
from registry_core.problems import invalid

from hallmark_scanner.advisories import AdvisoryError, parse_advisory
from hallmark_scanner.history import AdvisoryHistory

CLOCK_SKEW = timedelta(minutes=5)


@post(
    "/v1/advisories",
    action="advise",
    request_max_body_size=EVIDENCE_LIMIT,
    operation_class=with_body("application/json"),
)
async def publish_advisory(request: Request[Any, Any, Any], caller: Caller) -> dict[str, Any]:
    """Publish an OSV 1.7 document, or a newer one of the same id; affected versions are found by themselves."""
    raw = await request.body()
    try:
        advisory = parse_advisory(raw)
    except AdvisoryError as error:
        raise invalid(error.message, error.fix, field=error.pointer, schema="OSV 1.7") from error
    if advisory.modified > caller.platform.clock() + CLOCK_SKEW:
        raise invalid("modified lies in the future: no later correction would count", field="/modified")
    digest = await caller.platform.objects.put(raw)
    packages = {(a.package.ecosystem, a.package.name) for a in advisory.affected if a.package}
    published = AdvisoryPublished(
        advisory=advisory.id,
        modified=advisory.modified,
        digest=digest,
        packages=tuple(AffectedPackage(ecosystem=e, name=n) for e, n in sorted(packages)),
        withdrawn=advisory.withdrawn is not None,
        summary=advisory.summary[:1000],
    )

    def decide(state: AdvisoryHistory) -> list[Event]:
        """The newest `modified` counts (OSV); the same document again is nothing new."""
        older = state.modified is None or state.modified < advisory.modified
        return [published] if older and state.digest != digest else []

    written = await caller.decide(f"advisory:{advisory.id}", AdvisoryHistory(), decide)
    await caller.platform.objects.ensure(digest, raw)
    return written.document(advisory=advisory.id, digest=digest)


ROUTES = [publish_advisory]
