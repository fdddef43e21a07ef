"""Prometheus, Grafana and the collector name what there is: services, metrics, files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import promql_parser
import pytest
import yaml
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from registry_core import telemetry
from registry_core.service import ALL

_SUFFIXES = {Counter: ("_total",), Gauge: ("",), Histogram: ("_bucket", "_sum", "_count")}
_CHILDREN = ("lhs", "rhs", "expr", "args", "vector_selector", "param")


@pytest.fixture(scope="module")
def exported() -> set[str]:
    """Names of every time series that a service can export."""
    ours = {
        f"{family.name}{suffix}"
        for metric in vars(telemetry).values()
        if isinstance(metric, Counter | Gauge | Histogram)
        for family in metric.describe()
        for suffix in _SUFFIXES[type(metric)]
    }
    standard = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    return ours | {name for name in standard if name.startswith(("process_", "python_"))} | {"up"}


@pytest.fixture(scope="module")
def prometheus(root: Path) -> Any:
    return yaml.safe_load((root / "deploy/prometheus/prometheus.yml").read_text())


@pytest.fixture(scope="module")
def alerts(root: Path) -> list[Any]:
    groups = yaml.safe_load((root / "deploy/prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def dashboards(root: Path) -> dict[str, Any]:
    return {path.name: json.loads(path.read_text()) for path in (root / "deploy/grafana/dashboards").glob("*.json")}


def metrics_of(expression: str) -> set[str]:
    """The metrics that a PromQL expression reads. Raises ValueError when it is not PromQL."""
    return set(_selected(promql_parser.parse(expression.replace("$__rate_interval", "5m"))))


def _selected(node: Any) -> Iterator[str]:
    if isinstance(node, promql_parser.VectorSelector) and node.name:
        yield node.name
    children = [getattr(node, name, None) for name in _CHILDREN]
    for child in children:
        for one in child if isinstance(child, list) else [child]:
            if isinstance(one, promql_parser.Expr):
                yield from _selected(one)


def test_metrics_of_finds_what_a_nested_expression_reads() -> None:
    assert metrics_of("sum(rate(a[5m])) / max by (x) (b{c='d'} offset 1h) or time() - e") == {"a", "b", "e"}


def test_prometheus_scrapes_every_service_and_no_other(prometheus: Any) -> None:
    [job] = [job for job in prometheus["scrape_configs"] if job["job_name"] == "hallmark"]
    [group] = job["static_configs"]
    assert sorted(group["targets"]) == sorted(f"{name}:8080" for name in ALL)


def test_every_scraped_address_is_a_container(prometheus: Any, compose: Any) -> None:
    targets = [t for job in prometheus["scrape_configs"] for group in job["static_configs"] for t in group["targets"]]
    assert {target.split(":")[0] for target in targets} <= set(compose["services"])


def test_the_rule_files_exist(prometheus: Any, root: Path) -> None:
    assert [name for name in prometheus["rule_files"] if not (root / "deploy/prometheus" / name).is_file()] == []


def test_alerts_read_metrics_that_exist(alerts: list[Any], exported: set[str]) -> None:
    for alert in alerts:
        read = metrics_of(alert["expr"])
        assert read, alert["alert"]
        assert read <= exported, alert["alert"]


def test_every_alert_has_a_severity_and_a_summary(alerts: list[Any]) -> None:
    names = [alert["alert"] for alert in alerts]
    assert len(names) == len(set(names))
    assert {alert["labels"]["severity"] for alert in alerts} <= {"critical", "warning"}
    assert all(alert["annotations"]["summary"] for alert in alerts)


def test_dashboards_read_metrics_that_exist(dashboards: dict[str, Any], exported: set[str]) -> None:
    assert dashboards
    for name, dashboard in dashboards.items():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                assert metrics_of(target["expr"]) <= exported, (name, panel["title"])


def test_every_metric_of_ours_is_on_a_dashboard(dashboards: dict[str, Any], exported: set[str]) -> None:
    """Who adds a metric also says where it is looked at."""
    shown = {
        metric
        for dashboard in dashboards.values()
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for metric in metrics_of(target["expr"])
    }
    ours = {name for name in exported if name.startswith("hallmark_") and not name.endswith(("_sum", "_count"))}
    assert ours <= shown


def test_panels_have_their_own_ids_and_do_not_overlap(dashboards: dict[str, Any]) -> None:
    for name, dashboard in dashboards.items():
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids)), name
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in dashboard["panels"])
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(cells) == len(set(cells)), name
        assert max(x for x, _ in cells) < 24, name


def test_dashboards_use_a_provisioned_source_at_a_container(
    dashboards: dict[str, Any], compose: Any, root: Path
) -> None:
    sources = yaml.safe_load(
        (root / "deploy/grafana/provisioning/datasources/datasources.yml").read_text()
    )["datasources"]  # fmt: skip
    used = {panel["datasource"]["uid"] for dashboard in dashboards.values() for panel in dashboard["panels"]}
    assert used <= {source["uid"] for source in sources}
    hosts = {urlsplit(source["url"]).hostname or source["url"].split(":")[0] for source in sources}
    assert hosts <= set(compose["services"])


def test_grafana_finds_its_dashboards_where_they_are_mounted(compose: Any, root: Path) -> None:
    [provider] = yaml.safe_load(
        (root / "deploy/grafana/provisioning/dashboards/dashboards.yml").read_text()
    )["providers"]  # fmt: skip
    mounted = {volume.split(":")[1] for volume in compose["services"]["grafana"]["volumes"]}
    assert provider["options"]["path"] in mounted


def test_the_collector_takes_traces_where_services_send_them_and_passes_them_on(compose: Any, root: Path) -> None:
    config = yaml.safe_load((root / "deploy/otel/collector.yaml").read_text())
    endpoint = urlsplit(compose["services"]["ledger"]["environment"]["HALLMARK_OTLP_ENDPOINT"])
    listening = config["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    assert endpoint.hostname == "collector"
    assert listening.split(":")[1] == str(endpoint.port)
    for kind in ("receivers", "processors", "exporters"):
        named = {name for pipeline in config["service"]["pipelines"].values() for name in pipeline[kind]}
        assert named == set(config[kind])
    assert {e["endpoint"].split(":")[0] for e in config["exporters"].values()} <= set(compose["services"])
