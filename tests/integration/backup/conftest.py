"""Databases as their owner: what is tested here is not who may do what."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from conftest import Database
from registry_core.store.connections import Pool


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with asyncpg.create_pool(database.owner_dsn, min_size=1, max_size=8) as connections:
        yield connections
