"""Bounds on what one scan may read, unpack and keep."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds. The process limits hold in the sandbox only."""

    unpacked_bytes: int = 2048 * MIB
    """All that compressed streams and archive entries of one file may expand to."""
    entry_bytes: int = 256 * MIB
    """One compressed archive entry, unpacked in memory."""
    text_bytes: int = 64 * MIB
    header_bytes: int = 100_000_000
    """A safetensors or GGUF header; safetensors' own bound (safetensors `MAX_HEADER_SIZE`)."""
    entries: int = 20_000
    depth: int = 3
    """Archives inside archives."""
    pickles: int = 1_000
    """Pickles in one file."""
    findings: int = 200
    memory_bytes: int = 1536 * MIB
    cpu_seconds: int = 60
    wall_seconds: float = 90.0
