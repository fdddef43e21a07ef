"""Where the address and the token come from: arguments, `HALLMARK_URL` and `HALLMARK_TOKEN`, then what `login` kept."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hallmark.errors import HallmarkError

DEFAULT_URL: Final = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Credentials:
    url: str
    token: str


def config_folder() -> Path:
    """`$XDG_CONFIG_HOME/hallmark`, by default `~/.config/hallmark`."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "hallmark"


def credentials_file() -> Path:
    return config_folder() / "credentials.json"


def resolve(url: str | None = None, token: str | None = None) -> Credentials:
    """What is in force. A token that was kept for one server is never sent to another."""
    kept = load()
    where = _plain(url or os.environ.get("HALLMARK_URL") or (kept.url if kept else DEFAULT_URL))
    known = token or os.environ.get("HALLMARK_TOKEN") or (kept.token if kept and kept.url == where else "")
    return Credentials(where, known.strip())


def load() -> Credentials | None:
    """What `hallmark login` kept; None without it. Raises HallmarkError for a file that cannot be used."""
    path = credentials_file()
    try:
        with path.open("rb") as file:
            mode, raw = os.fstat(file.fileno()).st_mode, file.read(65_536)
    except FileNotFoundError:
        return None
    if mode & 0o077:
        raise HallmarkError("Open credentials", f"others can read {path}", fix=f"run: chmod 600 {path}")
    try:
        fields = json.loads(raw)
        return Credentials(_plain(str(fields["url"])), str(fields["token"]))
    except (ValueError, KeyError, TypeError) as error:
        raise HallmarkError("Damaged credentials", f"{path} cannot be read: {error!r}", fix="login again") from error


def save(found: Credentials) -> Path:
    """Keep them, readable by their owner only; the old file or the new one, never a part."""
    path = credentials_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"url": _plain(found.url), "token": found.token}, file)
    half.replace(path)
    return path


def forget() -> None:
    """What `save` kept is no longer there."""
    credentials_file().unlink(missing_ok=True)


def _plain(url: str) -> str:
    return url.strip().rstrip("/")
