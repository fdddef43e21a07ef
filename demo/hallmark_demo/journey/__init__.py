"""The whole journey of one real model, from CI to retirement, against a running Hallmark."""

from hallmark_demo.journey.models import Models
from hallmark_demo.journey.run import Outcome, run_journey
from hallmark_demo.journey.site import Site

__all__ = ["Models", "Outcome", "Site", "run_journey"]
