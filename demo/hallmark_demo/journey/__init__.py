"""The whole journey of one real model, from CI to retirement, against a running Hallmark."""

from hallmark_demo.journey.models import Models
from hallmark_demo.journey.outcome import Outcome
from hallmark_demo.journey.run import run_journey
from hallmark_demo.journey.site import Site

__all__ = ["Models", "Outcome", "Site", "run_journey"]
