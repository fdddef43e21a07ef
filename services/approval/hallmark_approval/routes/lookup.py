"""What every route looks up first."""

from registry_core.handlers import load
from registry_core.http import Caller
from registry_core.problems import not_found
from registry_core.service import Platform
from registry_core.values import promotion_stream
from registry_core.version import Version

from hallmark_approval.process import PromotionStream
from hallmark_approval.promotion import Promotion


async def registered(caller: Caller, ref: str) -> Version:
    """Raises Problem 404."""
    version = await load(caller.platform.reader, Version(), ref)
    if not version.exists:
        raise not_found(ref, "register it first: `hallmark register`")
    return version


async def requested(platform: Platform, promotion: str) -> tuple[PromotionStream, Promotion]:
    """Raises Problem 404."""
    state = await load(platform.reader, PromotionStream(), promotion_stream(promotion))
    if state.promotion is None:
        raise not_found(f"promotion {promotion[:80]}", "look at the review queue, or request it: `hallmark promote`")
    return state, state.promotion
