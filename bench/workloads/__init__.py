"""One module per workload, or per few that share their set-up; each registers itself when imported."""

import pkgutil
from importlib import import_module


def load_all() -> None:
    """Import every module of this folder, in name order."""
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        import_module(f"{__name__}.{module.name}")
