"""Django applications of each kind of process. No Django.

A process loads the applications it uses: the admin's and REST's cost 40 MB and half a second.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from enum import StrEnum
from typing import Final, NamedTuple

from providers.base.errors import ConfigError

VARIABLE: Final = "CCPROXY_ROLE"


class Role(StrEnum):
    """Kind of a process."""

    CONSOLE = "console"
    """Serves pages, or runs Django's own commands: it needs every application."""
    RECORDER = "recorder"
    """Writes flows and follows the configuration."""
    CLI = "cli"
    """Runs one command and ends."""
    MIGRATION = "migration"
    """Makes and changes the tables of all applications."""


class App(NamedTuple):
    """An application and the reason why it is installed."""

    name: str
    everywhere: bool
    reason: str
    migrated_as: str = ""
    """What the migrating process installs of an application that is not everywhere; empty: it has
    no tables."""


APPS: Final = (
    # name, everywhere, reason
    App("ccproxy_site.console.unfold_app.UnfoldConfig", False, "theme of the admin; precedes it"),
    App(
        "django.contrib.admin",
        False,
        "pages for providers, rules and hooks",
        # Without the search for admin pages, which import most of the console.
        "django.contrib.admin.apps.SimpleAdminConfig",
    ),
    App("django.contrib.auth", True, "owners of saved filters and login links are users"),
    App("django.contrib.contenttypes", True, "permissions of users refer to it"),
    App("django.contrib.sessions", False, "logins of browsers", "django.contrib.sessions"),
    App("django.contrib.messages", False, "sentences above a page after a form was sent"),
    App("django.contrib.staticfiles", False, "styles and scripts of pages"),
    App("channels", False, "websockets; the layers work without it"),
    App("django_filters", False, "templates of filter forms; filter sets work without it"),
    App("django_htmx", False, "scripts of pages"),
    App("rest_framework", False, "templates and commands of the REST API"),
    App("rest_framework.authtoken", False, "tokens of the REST API", "rest_framework.authtoken"),
    App("drf_spectacular", False, "description of the REST API"),
    App("drf_spectacular_sidecar", False, "scripts of the page that shows it"),
    App("providers", True, "models of the configuration and of logins"),
    App("flows", True, "models of the record"),
    App("shapes", True, "a model of the configuration"),
    App("interceptor", True, "models of hooks, client tokens and heartbeats"),
    App("jail", False, "names of commands; it has no models"),
    App("ccproxy_site", True, "login links"),
)
"""THE list of applications, in Django's order."""


def apps_of(role: Role) -> list[str]:
    """Return the applications of a process, in Django's order."""
    if role is Role.MIGRATION:
        installed = (app.name if app.everywhere else app.migrated_as for app in APPS)
        return [name for name in installed if name]
    return [app.name for app in APPS if app.everywhere or role is Role.CONSOLE]


def take_role(environ: MutableMapping[str, str]) -> Role:
    """Return the role that the variable names, and remove the variable.

    A process chooses for itself alone: a command that it starts may be anything.

    Raises:
        ConfigError: the variable names no role.
    """
    name = environ.pop(VARIABLE, "") or Role.CONSOLE
    try:
        return Role(name)
    except ValueError:
        raise ConfigError(f"{VARIABLE} must be one of {', '.join(Role)}") from None
