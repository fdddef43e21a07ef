"""A real MLflow tracking server for tests, from `.bench`, with everything that a pipeline and a person do to it."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from registry_core.local import ports
from support import until

PYTHON = Path(__file__).parents[1] / ".bench" / "bin" / "python"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
EVENTS = (
    ("REGISTERED_MODEL", "CREATED"), ("MODEL_VERSION", "CREATED"), ("MODEL_VERSION_TAG", "SET"),
    ("MODEL_VERSION_TAG", "DELETED"), ("MODEL_VERSION_ALIAS", "CREATED"), ("MODEL_VERSION_ALIAS", "DELETED"),
)  # fmt: skip
"""Everything about models that MLflow sends."""


@dataclass(slots=True)
class MlflowServer:
    url: str
    deliveries: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What its webhooks sent: id and body."""

    def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = httpx.request(method, f"{self.url}/api/2.0/mlflow/{path}", json=body, timeout=60)
        assert answer.is_success, answer.text
        return answer.json()

    def model(self, name: str, **more: Any) -> None:
        self.ask("POST", "registered-models/create", name=name, **more)

    def version(self, name: str, source: str = "s3://elsewhere/model", **more: Any) -> str:
        made = self.ask("POST", "model-versions/create", name=name, source=source, **more)
        return str(made["model_version"]["version"])

    def alias(self, name: str, alias: str, version: str) -> None:
        self.ask("POST", "registered-models/alias", name=name, alias=alias, version=version)

    def remove_alias(self, name: str, alias: str) -> None:
        self.ask("DELETE", "registered-models/alias", name=name, alias=alias)

    def hook(self, url: str, secret: str | None = None) -> str:
        """A webhook for everything that it sends; its id."""
        events = [{"entity": entity, "action": action} for entity, action in EVENTS]
        proof = {"secret": secret} if secret else {}
        made = self.ask("POST", "webhooks", name="hallmark", url=url, events=events, **proof)
        return str(made["webhook"]["webhook_id"])

    def put(self, path: str, content: bytes) -> None:
        """A file below the artifacts that it serves."""
        assert httpx.put(f"{self.url}{ARTIFACTS}/{path}", content=content).is_success

    def artifact(self, path: str) -> bytes:
        return httpx.get(f"{self.url}{ARTIFACTS}/{path}").raise_for_status().content

    def tag(self, name: str, key: str, value: str, version: str | None = None) -> None:
        where = "model-versions/set-tag" if version else "registered-models/set-tag"
        about = {"version": version} if version else {}
        self.ask("POST", where, name=name, key=key, value=value, **about)


@asynccontextmanager
async def mlflow_server(folder: Path) -> AsyncIterator[MlflowServer]:
    """On loopback, with SQLite and its artifacts in the folder, and a webhook for everything it sends."""
    assert PYTHON.exists(), "MLflow is not installed: make .bench/.installed"
    (folder / "artifacts").mkdir(parents=True)
    port = ports.choose()
    with subprocess.Popen(  # noqa: ASYNC220 - starting a process does not wait
        _command(folder, port), env=_ENVIRONMENT, cwd=folder, stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("wb"), start_new_session=True,
    ) as process:  # fmt: skip
        try:
            server = MlflowServer(f"http://127.0.0.1:{port}")
            await until(
                lambda: _answers(process, server.url, folder), seconds=240
            )  # on a busy machine it imports for a minute
            with receiver(server.deliveries) as hook:
                server.hook(hook)
                yield server
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # it has workers, and nothing to keep


_ENVIRONMENT = {
    **os.environ,
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    "MLFLOW_WEBHOOK_CACHE_TTL": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def _command(folder: Path, port: int) -> list[str]:
    return [
        *(str(PYTHON), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]


async def _answers(process: subprocess.Popen[bytes], url: str, folder: Path) -> bool:
    assert process.poll() is None, (folder / "log").read_text()
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"{url}/health")).is_success
        except httpx.TransportError:
            return False


@contextmanager
def receiver(deliveries: list[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """Keeps what is posted to it; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            deliveries.append((self.headers["x-mlflow-delivery-id"], json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


TRAINING = """
import mlflow, numpy
from sklearn.linear_model import LogisticRegression

model = LogisticRegression().fit(numpy.arange(20).reshape(-1, 1), [0] * 10 + [1] * 10)
with mlflow.start_run() as run:
    info = mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])
version = mlflow.register_model(info.model_uri, "churn", tags={"hallmark.owner": "dana", "hallmark.risk_tier": "high"})
print(version.version, run.info.run_id)
"""
"""A training script as anybody has it; Hallmark is named in two tags alone, which it could leave out."""


def run_script(server: MlflowServer, script: str, folder: Path) -> str:
    """What the script prints in MLflow's own environment."""
    env = {**_ENVIRONMENT, "MLFLOW_TRACKING_URI": server.url}
    done = subprocess.run([str(PYTHON), "-c", script], env=env, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
