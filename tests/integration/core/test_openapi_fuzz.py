"""Every route of every service, asked what its OpenAPI says and what it forbids, on a real database.

`make test-long` makes a few requests of each; `make fuzz` many, from other seeds (HALLMARK_FUZZ, examples for each).
"""

import asyncio
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from registry_core.service import ALL
from registry_core.settings import Settings
from schemathesis.checks import CHECKS
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode
from support import served, token_of

pytestmark = pytest.mark.long

EXAMPLES = int(os.environ.get("HALLMARK_FUZZ", "0"))
ROLES = ("admin", "manager", "contributor", "auditor", "viewer", "reviewer:platform")
CONTENT = b"the weights"
KNOWN = {
    "ref": "model:m@1.0.0", "asset": "model:m", "account": "root", "alias": "champion", "view": "version_overview",
    "projection": "version_overview", "letter": 1,
}  # fmt: skip
"""Put into every second request, so that not all answer 404."""
ALWAYS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance",
]  # fmt: skip


@pytest.mark.timeout(0 if EXAMPLES else 400)
async def test_every_route_answers_as_its_openapi_says(settings: Settings) -> None:
    alone = settings.model_copy(update={"kafka_bootstrap": "", "log_level": "error"})
    async with served(alone, ALL) as (platform, url):
        token = await token_of(platform, "root", *ROLES)
        failures = await asyncio.to_thread(_all_failures, url, token)
    assert not failures, "\n\n".join(failures)


def _all_failures(url: str, token: str) -> list[str]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        _register(session, url)
        document = schemathesis.openapi.from_url(f"{url}/schema/openapi.json")
        operations = [found.ok() for found in document.get_all_operations()]
        assert len(operations) > 60
        return [failure for operation in operations for failure in _failures(operation, session)]


def _register(session: requests.Session, url: str) -> None:
    file = {"name": "w.bin", "digest": f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", "size": len(CONTENT)}
    answer = session.post(f"{url}/v1/versions", json={"ref": KNOWN["ref"], "files": [file]}, timeout=30)
    assert answer.status_code == 201
    assert session.put(f"{url}/v1/versions/{KNOWN['ref']}/files/w.bin", data=CONTENT, timeout=30).status_code == 200


def _failures(operation: Any, session: requests.Session) -> Iterator[str]:
    if operation.path.endswith("/live"):
        return  # a subscription has no end; tests/integration/console has it
    for mode in GenerationMode:
        with _told(found := list[str]()):
            _fuzz(operation, mode, session)
        yield from found


@contextmanager
def _told(found: list[str]) -> Iterator[None]:
    try:
        yield
    except Unsatisfiable:
        pass  # a route without parameters and body has nothing that could be wrong
    except (FailureGroup, Failure) as failure:
        found.append("\n".join(str(each) for each in getattr(failure, "exceptions", [failure])))


def _fuzz(operation: Any, mode: GenerationMode, session: requests.Session) -> None:
    numbers = count()
    checks = CHECKS.get_by_names([*ALWAYS, *(["negative_data_rejection"] if operation.body else [])])

    @settings(
        max_examples=EXAMPLES or 2, deadline=None, derandomize=not EXAMPLES, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.query.pop("at_least", None)  # to wait for what is not there yet is 503, as it should be
        if next(numbers) % 2:
            case.path_parameters.update({name: KNOWN[name] for name in case.path_parameters.keys() & KNOWN.keys()})
        answer = case.call(session=session, timeout=60)
        case.validate_response(answer, checks=checks)

    ask()
