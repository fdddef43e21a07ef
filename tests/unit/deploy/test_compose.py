"""docker-compose.yml says the same as the code: services, settings, addresses; and nothing is left open."""

import re
from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from registry_core.service import ALL, Platform, Service
from registry_core.settings import Settings

HALLMARK = "hallmark:0.1.0"
STACK = {"postgres", "kafka", "objects", "migrate", "proxy", "prometheus", "collector", "traces", "grafana"}
WITHOUT_HEALTH_CHECK = {"collector", "traces", "migrate"}
"""Images that hold one program and nothing to ask it with; and what ends by itself."""
LEDGER_DSN = "HALLMARK_POSTGRES_LEDGER_DSN"
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
_PINNED = re.compile(r"[a-z0-9/-]+:v?\d+\.\d+(\.\d+)*(-[a-z0-9.]+)?")


@pytest.fixture(scope="session")
def containers(compose: Any) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


def settings_of(container: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in container.get("environment", {}).items() if name.startswith("HALLMARK_")}


def has_health_check(container: Mapping[str, Any], dockerfile: str) -> bool:
    return "test" in container.get("healthcheck", {}) or (
        container["image"] == HALLMARK and "HEALTHCHECK" in dockerfile
    )


def test_every_service_runs_on_its_own_and_there_are_only_known_ones(containers: dict[str, Any]) -> None:
    assert set(containers) == set(ALL) | STACK
    assert {name: containers[name]["command"] for name in ALL} == {name: ["serve", name] for name in ALL}


def test_every_image_is_pinned_to_a_version(containers: dict[str, Any]) -> None:
    assert [c["image"] for c in containers.values() if not _PINNED.fullmatch(c["image"])] == []


def test_our_own_containers_are_built_from_the_one_dockerfile(containers: dict[str, Any], root: Path) -> None:
    for name in (*ALL, "migrate"):
        assert containers[name]["image"] == HALLMARK
        assert (root / containers[name]["build"]["dockerfile"]).is_file()


def test_every_container_has_a_health_check_a_restart_policy_and_a_memory_limit(
    containers: dict[str, Any], root: Path
) -> None:
    dockerfile = (root / "deploy/docker/Dockerfile").read_text()
    without = {name for name, container in containers.items() if not has_health_check(container, dockerfile)}
    assert without <= WITHOUT_HEALTH_CHECK
    assert [name for name, c in containers.items() if not c.get("restart") or not c.get("mem_limit")] == []


def test_every_container_is_confined(containers: dict[str, Any]) -> None:
    for name, container in containers.items():
        assert container["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in container["security_opt"], name
    for name in (*ALL, "migrate", "proxy"):
        assert containers[name]["read_only"] is True, name


def test_only_the_proxy_and_grafana_are_published_and_on_loopback_alone(containers: dict[str, Any]) -> None:
    published = {name: c["ports"] for name, c in containers.items() if c.get("ports")}
    assert set(published) == {"proxy", "grafana"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_what_reads_hostile_files_has_no_way_out(compose: Any) -> None:
    assert compose["networks"]["backend"]["internal"] is True
    assert compose["services"]["scanner"]["networks"] == ["backend"]


def test_every_setting_exists_and_its_value_is_accepted(
    containers: dict[str, Any], setting_names: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # no hallmark.toml
    for name in (*ALL, "migrate"):
        given = settings_of(containers[name])
        assert given.keys() <= setting_names, name
        with monkeypatch.context() as environment:
            for variable, value in given.items():
                environment.setenv(variable, value)
            assert Settings().kafka_flavour == "kafka"


def test_all_services_agree_on_their_settings(containers: dict[str, Any]) -> None:
    """The number of partitions above all: the sealer assigns them for everybody."""
    shared = [{k: v for k, v in settings_of(containers[name]).items() if k != LEDGER_DSN} for name in ALL]
    assert all(settings == shared[0] for settings in shared)


def test_the_ledger_alone_knows_the_role_that_gives_order(containers: dict[str, Any]) -> None:
    dsns = {name: settings_of(container).get(LEDGER_DSN) for name, container in containers.items()}
    assert {name for name, dsn in dsns.items() if dsn} == {"ledger"}
    assert urlsplit(dsns["ledger"]).username == "hallmark_ledger"


def test_only_the_migration_knows_the_owner_and_nothing_else(containers: dict[str, Any]) -> None:
    knowing = {name for name in containers if "HALLMARK_POSTGRES_OWNER_DSN" in settings_of(containers[name])}
    assert knowing == {"migrate"}
    assert len(containers["migrate"]["environment"]) == 1
    assert all(
        urlsplit(settings_of(containers[name])["HALLMARK_POSTGRES_DSN"]).username == "hallmark_service" for name in ALL
    )


def test_settings_name_containers_that_exist(containers: dict[str, Any]) -> None:
    given = settings_of(containers["ledger"]) | settings_of(containers["migrate"])
    urls = ("POSTGRES_DSN", "POSTGRES_LEDGER_DSN", "POSTGRES_OWNER_DSN", "OBJECTS_ENDPOINT", "OTLP_ENDPOINT")
    hosts = {urlsplit(given[f"HALLMARK_{url}"]).hostname for url in urls}
    hosts |= {address.split(":")[0] for address in given["HALLMARK_KAFKA_BOOTSTRAP"].split(",")}
    assert hosts <= set(containers)


def test_kafka_advertises_the_address_that_services_are_given(containers: dict[str, Any], root: Path) -> None:
    kafka = containers["kafka"]
    bootstrap = settings_of(containers["ledger"])["HALLMARK_KAFKA_BOOTSTRAP"]
    assert kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{bootstrap}"
    pom = (root / "deploy/kafka/pom.xml").read_text()
    version = kafka["image"].split(":")[1]
    assert f"<kafka.version>{version}</kafka.version>" in pom  # the version that the tests run against


def test_containers_start_in_an_order_that_exists(containers: dict[str, Any], root: Path) -> None:
    waits = {name: container.get("depends_on", {}) for name, container in containers.items()}
    order = list(TopologicalSorter({name: list(on) for name, on in waits.items()}).static_order())
    assert set(order) == set(containers)
    dockerfile = (root / "deploy/docker/Dockerfile").read_text()
    for on in waits.values():
        for name, wait in on.items():
            assert wait["condition"] in CONDITIONS
            if wait["condition"] == "service_healthy":
                assert has_health_check(containers[name], dockerfile), f"{name} can never become healthy"


def test_services_wait_for_the_schema_the_broker_and_the_objects(containers: dict[str, Any]) -> None:
    for name in ALL:
        on = {other: wait["condition"] for other, wait in containers[name]["depends_on"].items()}
        assert on == {
            "migrate": "service_completed_successfully",
            "kafka": "service_healthy",
            "objects": "service_healthy",
        }


def test_every_volume_is_declared_and_every_mounted_file_exists(compose: Any, root: Path) -> None:
    sources = [v.split(":")[0] for c in compose["services"].values() for v in c.get("volumes", [])]
    assert {source for source in sources if not source.startswith(".")} == set(compose["volumes"])
    assert [source for source in sources if source.startswith(".") and not (root / source).exists()] == []


@pytest.mark.parametrize("name", ALL)
def test_a_service_with_a_key_keeps_it(
    name: str, containers: dict[str, Any], built: Callable[[str], tuple[Platform, Service]], tmp_path: Path
) -> None:
    built(name)
    if any((tmp_path / "keys").iterdir()):
        assert containers[name]["volumes"] == [f"{name}:/var/lib/hallmark"]


def test_the_example_environment_names_exactly_what_is_required_and_gives_no_value(
    required_variables: set[str], root: Path
) -> None:
    lines = (root / ".env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(given) == required_variables
    assert set(given.values()) == {""}


def test_no_variable_has_a_default(compose_text: str) -> None:
    """Without `:?` Compose would start with an empty password."""
    assert re.findall(r"\$\{\w+(?!\w|:\?)[^}]*\}", compose_text) == []


def test_the_database_script_reads_the_passwords_that_compose_gives(containers: dict[str, Any], root: Path) -> None:
    script = (root / "deploy/postgres/10-roles.sql").read_text()
    read = set(re.findall(r"^\\getenv \w+ (\w+)$", script, re.MULTILINE))
    assert read == set(containers["postgres"]["environment"]) - {"POSTGRES_PASSWORD"}
    owner = urlsplit(settings_of(containers["migrate"])["HALLMARK_POSTGRES_OWNER_DSN"])
    assert f"create role {owner.username} login" in script
    assert f"create database {owner.path[1:]} owner {owner.username}" in script


def test_yaml_has_no_key_twice(compose_text: str) -> None:
    """PyYAML would silently keep the last."""
    nodes = [yaml.compose(compose_text)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            assert len(keys) == len(set(keys)), f"near line {node.start_mark.line + 1}: {keys}"
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
