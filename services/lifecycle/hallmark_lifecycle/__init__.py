"""States, clocks, provisioning, admission and served windows."""
