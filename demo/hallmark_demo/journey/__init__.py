"""The whole journey of one real model, from CI to retirement, against a running Hallmark."""

from hallmark_demo.journey.run import Outcome, run_journey
from hallmark_demo.journey.site import Site

__all__ = ["Outcome", "Site", "run_journey"]
