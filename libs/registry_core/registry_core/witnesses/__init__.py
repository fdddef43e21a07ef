"""Places outside the database's reach that keep checkpoints, by URL: a folder, an object store, an HTTP witness."""

from registry_core.proofs.cosignature import WitnessKey
from registry_core.settings import Settings
from registry_core.witnesses.base import (
    CosignatureError,
    LogContradictedError,
    LogView,
    Witness,
    WitnessAwayError,
    WitnessConflictError,
    compare,
)
from registry_core.witnesses.http import HttpWitness
from registry_core.witnesses.objects import ObjectWitness, open_objects

__all__ = [
    "CosignatureError",
    "LogContradictedError",
    "LogView",
    "Witness",
    "WitnessAwayError",
    "WitnessConflictError",
    "compare",
    "open_witness",
    "open_witnesses",
]


def open_witnesses(settings: Settings) -> list[Witness]:
    """The folder in the data folder, and every place of the setting `witnesses`. Raises ValueError for a wrong URL."""
    folder = (settings.data_dir / "checkpoints").absolute()
    urls = [url.strip() for url in settings.witnesses.split(",") if url.strip()]
    return [open_witness(url, settings) for url in (folder.as_uri(), *urls)]


def open_witness(url: str, settings: Settings) -> Witness:
    """An HTTP witness's key stands behind a `#`. Raises ValueError for a URL of an unknown kind, and a wrong key."""
    scheme = url.partition("://")[0]
    if scheme in ("file", "s3"):
        return ObjectWitness(url, open_objects(url, settings))
    if scheme in ("http", "https"):
        address, _, vkey = url.partition("#")
        return HttpWitness(address, WitnessKey(vkey) if vkey else None)
    raise ValueError(f"the witness {url!r} is none of file://, s3://, http:// or https://; see HALLMARK_WITNESSES")
