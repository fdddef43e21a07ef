"""One address for users: the proxy sends every path to the service that serves it."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from litestar.routes import HTTPRoute
from registry_core.http.app import make_app
from registry_core.service import ALL, Platform, Service

REF = "model:credit-risk@1.0.0"
NOT_FOR_OUTSIDE = ("/health", "/metrics", "/schema")
_RULE = re.compile(r"@(\w+) path_regexp (\S+)\n\thandle @\1 \{\n\t\t(?:import to (\w+)|respond .*)\n\t\}")
_DEFAULT = re.compile(r"\n\thandle \{\n\t\timport to (\w+)\n\t\}")


@dataclass(frozen=True)
class Proxy:
    """The rules of the Caddyfile, in order. `handle` blocks exclude each other, and the first that matches acts."""

    rules: list[tuple[str, str]]
    default: str

    def upstream(self, path: str) -> str:
        """The service that gets a request for this path; empty when the proxy answers itself."""
        return next((to for pattern, to in self.rules if re.search(pattern, path)), self.default)


@pytest.fixture(scope="module")
def caddyfile(root: Path) -> Path:
    return root / "deploy/proxy/Caddyfile"


@pytest.fixture(scope="module")
def proxy(caddyfile: Path) -> Proxy:
    text = caddyfile.read_text()
    rules = [(pattern, to) for _, pattern, to in _RULE.findall(text)]
    default = _DEFAULT.search(text)
    assert default
    assert len(rules) + 1 == text.count("\thandle ")  # every block was understood
    return Proxy(rules, default[1])


def paths_of(platform: Platform, service: Service) -> list[str]:
    """What a service serves, with example values in place of parameters."""
    routes = [route.path for route in make_app(platform, [service]).routes if isinstance(route, HTTPRoute)]
    example = [re.sub(r"\{[^}]*:path\}", "folder/weights.safetensors", route) for route in routes]
    return [re.sub(r"\{[^}]*\}", REF, path) for path in example if not path.startswith(NOT_FOR_OUTSIDE)]


@pytest.mark.parametrize("service", ALL)
def test_every_route_of_a_service_is_sent_to_it(
    service: str, proxy: Proxy, built: Callable[[str], tuple[Platform, Service]]
) -> None:
    wrong = {path: proxy.upstream(path) for path in paths_of(*built(service)) if proxy.upstream(path) != service}
    assert wrong == {}, f"deploy/proxy/Caddyfile sends these paths of {service} elsewhere"


@pytest.mark.parametrize(
    ("path", "service"),
    [
        (f"/v1/versions/{REF}", "ingestion"),
        (f"/v1/versions/{REF}/files/exceptions", "ingestion"),
        (f"/v1/versions/{REF}/exceptions/7/grant", "approval"),
        (f"/v1/versions/{REF}/suspend", "lifecycle"),
        ("/v1/versions/retire", "ingestion"),
        ("/v1/policies/baseline", "approval"),
        ("/v1/policiesandmore", "console"),
        ("/v1/admission", "lifecycle"),
        ("/v1/log/proofs/inclusion", "ledger"),
        ("/v1/advisories", "scanner"),
        ("/v1/views/portfolio/live", "console"),
        ("/", "console"),
    ],
)
def test_a_path_goes_to(path: str, service: str, proxy: Proxy) -> None:
    assert proxy.upstream(path) == service


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/health/ready", "/health/live"])
def test_metrics_and_health_stay_inside(path: str, proxy: Proxy) -> None:
    assert proxy.upstream(path) == ""


@pytest.mark.skipif(
    not shutil.which("caddy"), reason="no caddy on the PATH: its own check of the Caddyfile was not run"
)
def test_caddy_accepts_the_file(caddyfile: Path) -> None:
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(caddyfile)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
