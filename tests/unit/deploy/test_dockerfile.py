"""The image: what is in it, as whom it runs, and its health check, run."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest


@pytest.fixture(scope="module")
def dockerfile(root: Path) -> str:
    return (root / "deploy/docker/Dockerfile").read_text().replace("\\\n", " ")


def test_dependencies_come_from_the_lock_and_only_those_of_the_services(dockerfile: str) -> None:
    install = re.search(r"uv pip install .*", dockerfile)
    assert install
    assert "--constraint requirements.lock --build-constraint requirements.lock" in re.sub(r"\s+", " ", install[0])
    assert re.findall(r"\./\S+", install[0]) == ['./libs/registry_core[server]"', "./libs/hallmark", "./services/*"]


def test_the_image_and_the_makefile_use_the_same_uv(dockerfile: str, root: Path) -> None:
    makefile = re.search(r"^UV_VERSION := (\S+)$", (root / "Makefile").read_text(), re.MULTILINE)
    assert makefile
    assert f"ARG UV_VERSION={makefile[1]}\n" in dockerfile


def test_it_runs_as_an_ordinary_user_that_cannot_write_its_program(dockerfile: str) -> None:
    final = dockerfile.rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER 10001:10001$", final, re.MULTILINE)
    assert "COPY --from=build /opt/hallmark /opt/hallmark" in final  # root's


def test_the_build_sees_nothing_but_what_it_copies(dockerfile: str, root: Path) -> None:
    ignore = (root / "deploy/docker/Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignore if line.startswith("!")}
    copied = set(re.findall(r"^COPY (?!--)(.*) \S+$", dockerfile, re.MULTILINE))
    assert "*" in ignore
    assert {name for line in copied for name in line.split()} == allowed


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server that answers everything with this status; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health/ready" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_believes_what_the_service_says(dockerfile: str, status: int, healthy: bool) -> None:
    command = re.search(r"HEALTHCHECK .* CMD (\[.*\])", dockerfile)
    assert command
    program, *arguments = json.loads(command[1])
    assert program == "python"
    with answering(status) as port:
        environment = {**os.environ, "HALLMARK_PORT": str(port)}
        done = subprocess.run([sys.executable, *arguments], check=False, env=environment, capture_output=True)
    assert (done.returncode == 0) is healthy
