"""Any service is killed at any moment, again and again, while the journey goes on."""

from collections import Counter
from random import Random
from typing import Final

import pytest
from faults.chaos import kill_at_random, meanwhile
from faults.end_state import EndState, differences
from faults.place import NewPlace
from registry_core.service import ALL

pytestmark = [pytest.mark.faults, pytest.mark.messaging]

ENOUGH: Final = 50
"""Kills in all."""


@pytest.mark.timeout(180)
async def test_a_journey_on_seven_processes(undisturbed: EndState) -> None:
    assert undisturbed["customers served"] == 40
    assert undisturbed["dead letters"] == []
    assert {state for _, _, state, _ in undisturbed["jobs"]} == {"done"}


@pytest.mark.timeout(600)
async def test_fifty_kills_change_nothing(undisturbed: EndState, new_place: NewPlace, kills: Counter[str]) -> None:
    """One seed after the other, each with a journey of its own, until there were enough kills."""
    seed = 0
    while kills.total() < ENOUGH:
        place = await new_place()
        async with place.services() as services:
            held = await place.checkpoint()
            await meanwhile(place.walk(services), kill_at_random(services, Random(seed)))
            kills += services.kills
            assert differences(undisturbed, await place.settle(services, held)) == {}, f"seed {seed}"
        seed += 1
    assert set(kills) == set(ALL)
