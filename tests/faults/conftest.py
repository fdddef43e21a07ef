"""An undisturbed run of the journey on all services, and new installations on which to disturb one."""

from collections import Counter
from typing import Any

import pytest
from faults.end_state import EndState
from faults.place import NewPlace, Place, make_place
from hallmark_demo.journey import Models
from registry_core.local.broker import LocalBroker
from registry_core.local.postgres import LocalPostgres
from registry_core.proofs.keys import load_or_generate_key

KILLS = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KILLS] = Counter()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process that ran tests tells how many it killed."""
    node.config.stash[KILLS].update(node.workeroutput.get("kills", {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["kills"] = dict(session.config.stash[KILLS])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if kills := config.stash[KILLS]:
        each = ", ".join(f"{name} {count}" for name, count in sorted(kills.items()))
        terminalreporter.write_line(f"{kills.total()} services were killed during journeys: {each}")


@pytest.fixture(scope="session")
def kills(pytestconfig: pytest.Config) -> Counter[str]:
    """By service, of all tests; told at the end of the run."""
    return pytestconfig.stash[KILLS]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Trained by the first journey, shared by all."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "keys").mkdir()
    return Models(folder, load_or_generate_key(folder / "keys" / "ci.pem"))


@pytest.fixture(scope="session")
def new_place(
    postgres_server: LocalPostgres, kafka_broker: LocalBroker, models: Models, tmp_path_factory: pytest.TempPathFactory
) -> NewPlace:
    """Makes a new installation on an empty database and an empty broker."""

    async def make(server: LocalPostgres = postgres_server) -> Place:
        return await make_place(server, kafka_broker, models, tmp_path_factory.mktemp("place"))

    return make


@pytest.fixture(scope="session")
async def undisturbed_place(new_place: NewPlace) -> Place:
    """Where the undisturbed journey takes place."""
    return await new_place()


@pytest.fixture(scope="session")
async def undisturbed(undisturbed_place: Place) -> EndState:
    """What a run leaves that nobody disturbs."""
    async with undisturbed_place.services() as services:
        await undisturbed_place.walk(services)
        return await undisturbed_place.settle(services)
