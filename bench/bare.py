"""A bare Litestar application that validates CloudEvents with Hallmark's own model, answers, and does nothing else.

`python -m bench.bare <port>`: served as `hallmark serve` serves, by uvicorn in one process.
"""

import sys
from typing import Any, Literal

import uvicorn
from hallmark_ingestion.domain import RegisterVersion
from litestar import Litestar, get, post
from pydantic import BaseModel


class Envelope(BaseModel):
    """What `POST /v1/events` takes in structured mode."""

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    data: RegisterVersion


@get("/health/ready", sync_to_thread=False)
def ready() -> dict[str, bool]:
    return {"ready": True}


@post("/v1/events", status_code=202)
async def one(data: Envelope) -> dict[str, Any]:
    return {"id": data.id, "ref": data.data.ref, "outcome": "registered"}


@post("/v1/batches", status_code=207)
async def many(data: list[Envelope]) -> list[dict[str, Any]]:
    return [{"id": each.id, "ref": each.data.ref, "outcome": "registered", "status": 202} for each in data]


app = Litestar([ready, one, many], openapi_config=None)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False)
