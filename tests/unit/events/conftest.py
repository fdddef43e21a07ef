"""Event types that only one test knows."""

import pytest
from registry_core.events import base


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test declares is forgotten with it."""
    monkeypatch.setattr(base, "_REGISTRY", dict(base._REGISTRY))
    monkeypatch.setattr(base, "_UPCASTERS", dict(base._UPCASTERS))
