"""The Helm chart: its values name services and settings that exist; with helm on the PATH, what it renders is safe."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from registry_core.service import ALL

needs_helm = pytest.mark.skipif(not shutil.which("helm"), reason="no helm on the PATH: the chart was not rendered")
KUBERNETES = "1.31.0"


@pytest.fixture(scope="module")
def chart(root: Path) -> Path:
    return root / "deploy/helm/hallmark"


@pytest.fixture(scope="module")
def values(chart: Path) -> Any:
    return yaml.safe_load((chart / "values.yaml").read_text())


def helm(chart: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["helm", "template", "hm", str(chart), "--kube-version", KUBERNETES, *options]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def rendered(chart: Path) -> list[Any]:
    done = helm(chart, "--set", "serviceMonitor.enabled=true")
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def pods(rendered: list[Any]) -> dict[str, Any]:
    found = [d for d in rendered if d["kind"] in ("Deployment", "Job")]
    return {document["metadata"]["name"]: document["spec"]["template"]["spec"] for document in found}


def test_the_chart_runs_every_service_and_no_other(values: Any) -> None:
    assert sorted(service["name"] for service in values["services"]) == sorted(ALL)


def test_every_variable_named_in_the_chart_is_a_setting(chart: Path, setting_names: set[str]) -> None:
    text = "".join(path.read_text() for path in chart.rglob("*") if path.is_file() and path.name != "Caddyfile")
    assert set(re.findall(r"HALLMARK_[A-Z_]+", text)) <= setting_names


def test_the_chart_sets_no_secret(values: Any) -> None:
    secret = re.compile(r"PASSWORD|SECRET|DSN|ACCESS_KEY")
    assert [name for name in values["settings"] if secret.search(name)] == []


def test_what_keeps_files_runs_once(values: Any) -> None:
    assert all(service["replicas"] == 1 for service in values["services"] if "storage" in service)
    assert {"ledger", "approval", "lifecycle"} == {s["name"] for s in values["services"] if "storage" in s}


def test_the_chart_and_compose_route_and_run_the_same(chart: Path, root: Path, values: Any, compose: Any) -> None:
    assert (chart / "files/Caddyfile").read_text() == (root / "deploy/proxy/Caddyfile").read_text()
    assert values["proxy"]["image"] == compose["services"]["proxy"]["image"]
    version = yaml.safe_load((chart / "Chart.yaml").read_text())["appVersion"]
    assert compose["services"]["ledger"]["image"] == f"{values['image']['repository']}:{version}"


def test_templates_are_yaml_around_their_actions(chart: Path) -> None:
    """Without helm: lines that are only an action are left out, other actions become a word."""
    for path in (chart / "templates").glob("*.yaml"):
        text = re.sub(r"^[ -]*\{\{.*\}\}\n", "", path.read_text(), flags=re.MULTILINE)
        documents = list(yaml.safe_load_all(re.sub(r"\{\{.*?\}\}", "x", text)))
        assert all({"apiVersion", "kind", "metadata"} <= document.keys() for document in documents if document), path


@needs_helm
def test_helm_finds_no_fault(chart: Path) -> None:
    done = subprocess.run(["helm", "lint", "--strict", str(chart)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@needs_helm
def test_every_pod_is_restricted(rendered: list[Any]) -> None:
    """Kubernetes' Pod Security Standard `restricted`."""
    assert len(pods(rendered)) == len(ALL) + 2
    for name, pod in pods(rendered).items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["capabilities"]["drop"] == ["ALL"], name
            assert set(context["capabilities"].get("add", [])) <= {"NET_BIND_SERVICE"}, name
            assert container["resources"]["limits"]["memory"], name


@needs_helm
def test_every_service_is_reached_under_the_name_that_the_proxy_uses(rendered: list[Any]) -> None:
    prefix = next(e["value"] for e in pods(rendered)["hm-proxy"]["containers"][0]["env"])
    services = {d["metadata"]["name"]: d for d in rendered if d["kind"] == "Service"}
    for name in ALL:
        assert services[f"{prefix}{name}"]["spec"]["ports"][0]["port"] == 8080
        labels = next(
            d["spec"]["template"]["metadata"]["labels"]
            for d in rendered
            if d["kind"] == "Deployment" and d["metadata"]["name"] == f"{prefix}{name}"
        )
        assert services[f"{prefix}{name}"]["spec"]["selector"].items() <= labels.items()


@needs_helm
def test_everything_is_denied_that_no_policy_allows(rendered: list[Any]) -> None:
    policies = {d["metadata"]["name"]: d["spec"] for d in rendered if d["kind"] == "NetworkPolicy"}
    deny = policies["hm-deny"]
    assert deny["podSelector"] == {"matchLabels": {"app.kubernetes.io/instance": "hm"}}
    assert deny["policyTypes"] == ["Ingress", "Egress"]
    assert not deny.keys() & {"ingress", "egress"}


@needs_helm
def test_the_owner_s_secret_reaches_the_migration_alone(rendered: list[Any]) -> None:
    knowing = {name for name, pod in pods(rendered).items() if "hallmark-owner" in str(pod)}
    assert knowing == {"hm-migrate"}


@needs_helm
def test_the_ledger_s_secret_reaches_the_ledger_alone(rendered: list[Any]) -> None:
    assert {name for name, pod in pods(rendered).items() if "'name': 'hallmark-ledger'" in str(pod)} == {"hm-ledger"}


@needs_helm
def test_a_service_with_a_volume_cannot_be_doubled(chart: Path) -> None:
    done = helm(chart, "--set", "services[0].name=ledger,services[0].storage=1Gi,services[0].replicas=2")
    assert done.returncode != 0
    assert "runs as one replica" in done.stderr
