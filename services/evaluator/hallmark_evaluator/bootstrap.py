"""The evaluator, put together."""

from registry_core.service import Platform, Service

from hallmark_evaluator.handlers import ASSESS, HANDLERS, assessing


def build(platform: Platform) -> Service:
    """Assesses evaluation reports as they are attached."""
    return Service(name="evaluator", handlers=HANDLERS, jobs={ASSESS: assessing(platform.objects)})
