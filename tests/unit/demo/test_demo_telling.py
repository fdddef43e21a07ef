"""What the demo shows a person while it works."""

import io

from hallmark_demo.journey.telling import Teller
from rich.console import Console


def test_an_upload_is_shown_as_a_bar_that_fills() -> None:
    written = io.StringIO()
    terminal = Console(file=written, force_terminal=True, width=100)
    with Teller(terminal).uploading("model.onnx", 90_000_000) as sent:
        sent(45_000_000)
        sent(45_000_000)
    shown = written.getvalue()
    assert "model.onnx" in shown
    assert "90.0/90.0 MB" in shown
    assert "━" * 24 in shown
