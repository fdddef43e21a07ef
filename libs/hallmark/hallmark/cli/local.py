"""`hallmark up`, `doctor`, `settings show`: this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hallmark.cli import base, output
from hallmark.cli.base import Json

if TYPE_CHECKING:
    from registry_core.local.doctor import Check

Data = Annotated[Path | None, typer.Option(help="Folder of all data; by default HALLMARK_DATA_DIR, or var.")]


def add_to(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(doctor)
    settings = typer.Typer(rich_markup_mode=None, invoke_without_command=True, help="Settings of the services.")
    settings.callback()(_settings_group)
    settings.command("show")(show_settings)
    app.add_typer(settings, name="settings")


def up(
    data: Data = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="By default 8080, or the next free one.")] = None,
    services: Annotated[str | None, typer.Option(help="Only these, e.g. ledger,console.")] = None,
    demo_clock: Annotated[
        bool, typer.Option("--demo-clock", help="Let administrators sweep as of a future time. Not for production.")
    ] = False,
) -> None:
    """Run everything on this machine until Ctrl-C: PostgreSQL, a broker, all services.

    A database, broker or object store named in the settings is used in place of the local one.
    """
    from hallmark.cli.running import run_up, settings_for_up  # noqa: PLC0415 - server modules

    run_up(settings_for_up(data, port, demo_clock=demo_clock), services.split(",") if services else None)


def doctor(data: Data = None, json: Json = False) -> None:
    """Check whether this machine can run Hallmark, and reach what the settings name."""
    from hallmark.cli.reach import examine_all  # noqa: PLC0415 - server modules

    checks = examine_all(data)
    ok = all(check.ok or not check.required for check in checks)
    document = [{**vars(check)} for check in checks]
    output.show({"ok": ok, "checks": document}, lambda: _show_checks(checks))
    raise typer.Exit(0 if ok else base.REFUSED)


def _show_checks(checks: "list[Check]") -> None:
    rows = [["ok" if c.ok else "failed" if c.required else "optional", c.name, c.detail] for c in checks]
    output.table(["", "CHECK", "FOUND"], rows)
    for check in checks:
        if not check.ok:
            output.say(f"{check.name}: {check.fix}", "red" if check.required else None)


def _settings_group(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        show_settings()


def show_settings(json: Json = False) -> None:
    """Every setting as it is in force: from HALLMARK_… variables, then hallmark.toml, then defaults. Secrets hidden."""
    from registry_core.settings import Settings  # noqa: PLC0415 - server modules

    settings = Settings()
    document = settings.model_dump(mode="json")
    rows = [[name, value, "set" if name in settings.model_fields_set else ""] for name, value in document.items()]
    output.show(document, lambda: output.table(["SETTING", "VALUE", ""], rows))
