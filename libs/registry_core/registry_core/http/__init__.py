"""HTTP shared by all services: who calls, what they may, how writes and errors answer."""

from registry_core.http.caller import Caller, Written

__all__ = ["Caller", "Written"]
