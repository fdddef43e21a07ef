"""The models that take part in the journey."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hallmark_demo.pipeline.build import BuiltModel, build_classifier, build_embedding


class Models:
    """Builds each model once, when it is first asked for. Journeys whose CI job has the same key can share them."""

    def __init__(self, folder: Path, key: Ed25519PrivateKey) -> None:
        self.folder, self._key = folder, key
        self._built: dict[str, BuiltModel] = {}

    def classifier(self, version: str, **more: Any) -> BuiltModel:
        """Trained, measured and documented; `more` as for `build_classifier`."""
        return self._once(f"classifier-{version}", lambda folder: self._train(folder, version, **more))

    def _train(self, folder: Path, version: str, **more: Any) -> BuiltModel:
        return build_classifier(folder, key=self._key, version=version, **more)

    def embedding(self, prompt_version: str) -> BuiltModel:
        """Measured and documented with one version of its prompt."""
        return self._once(
            f"embedding-{prompt_version}",
            lambda folder: build_embedding(folder, key=self._key, prompt_version=prompt_version),
        )

    def _once(self, name: str, build: Callable[[Path], BuiltModel]) -> BuiltModel:
        if name not in self._built:
            self._built[name] = build(self.folder / name)
        return self._built[name]
