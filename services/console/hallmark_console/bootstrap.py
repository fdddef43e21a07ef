"""Puts the console together."""

from registry_core.service import Platform, Service

from hallmark_console.assets import static
from hallmark_console.pages import PAGES
from hallmark_console.projections import PROJECTIONS
from hallmark_console.rebuilding import ROUTES as REBUILDING
from hallmark_console.routes import live_view, read_lineage, read_view, views
from hallmark_console.session import login, login_page, logout
from hallmark_console.sign_in import ROUTES as SIGN_IN
from hallmark_console.sources import SOURCE_PAGES


def build(platform: Platform) -> Service:
    """The console: read models, the API over every service's views, and the web pages."""
    routes = [
        views,
        read_view,
        live_view,
        read_lineage,
        *REBUILDING,
        static,
        login_page,
        login,
        logout,
        *SIGN_IN,
        PAGES,
        SOURCE_PAGES,
    ]
    makes_accounts = bool(platform.settings.oidc_roles_claim)
    background = [platform.vault.claim] if makes_accounts else []
    return Service(name="console", routes=routes, projections=PROJECTIONS, background=background)
