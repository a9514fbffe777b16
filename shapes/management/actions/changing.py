"""`ccproxy shapes acknowledge`, `activate`, `deactivate` and `clear`."""

from __future__ import annotations

from argparse import Namespace

from django.core.management.base import BaseCommand

from flows.display.units import plural
from providers.audit.log import shell_caller
from providers.base.errors import CcproxyError
from providers.listing.question import confirmed
from shapes.models import Shape, ShapingProfile
from shapes.versions.activation import (
    TERMS,
    acknowledge,
    activate_version,
    deactivate,
    delete_all,
    delete_version,
    withdraw,
)
from shapes.versions.capturing import check_type
from shapes.versions.finding import version_of


def run(command: BaseCommand, options: Namespace) -> None:
    """Change what requests take; a running proxy follows within a second."""
    actions = {
        "acknowledge": _acknowledge,
        "activate": _activate,
        "deactivate": _deactivate,
        "clear": _clear,
    }
    actions[options.action](command, options)


def _acknowledge(command: BaseCommand, options: Namespace) -> None:
    provider_type = check_type(options.provider_type)
    if options.withdraw:
        withdraw(provider_type, by=shell_caller())
        command.stdout.write(f"Withdrawn: no request to {provider_type} is shaped any more.")
        return
    command.stdout.write(TERMS)
    if not confirmed("Do you confirm this?", yes=options.yes):
        raise CcproxyError("Not confirmed; no request is shaped. Add --yes to confirm it.")
    profile = acknowledge(provider_type, by=shell_caller())
    command.stdout.write(f"Confirmed by {profile.acknowledged_by} for {provider_type}.")


def _activate(command: BaseCommand, options: Namespace) -> None:
    shape = version_of(options.provider_type, options.version)
    activate_version(shape, by=shell_caller())
    command.stdout.write(f"Requests to {shape.provider_type} take v{shape.version} now.")
    if not ShapingProfile.of(shape.provider_type).is_acknowledged:
        command.stderr.write(
            f"Not yet: “ccproxy shapes acknowledge {shape.provider_type}” has to come first."
        )


def _deactivate(command: BaseCommand, options: Namespace) -> None:
    provider_type = check_type(options.provider_type)
    if deactivate(provider_type, by=shell_caller()):
        command.stdout.write(f"Requests to {provider_type} leave unshaped now.")
    else:
        command.stdout.write(f"No version of {provider_type} was active.")


def _clear(command: BaseCommand, options: Namespace) -> None:
    provider_type = check_type(options.provider_type)
    if options.version is not None:
        shape = version_of(provider_type, options.version)
        _confirm(f"Delete {shape}?", options)
        delete_version(shape, by=shell_caller())
        command.stdout.write(f"Deleted {provider_type} v{options.version}.")
        return
    count = Shape.objects.filter(provider_type=provider_type).count()
    if not count:
        command.stdout.write(f"There is no shape of {provider_type}.")
        return
    _confirm(f"Delete {plural(count, 'version')} of {provider_type}?", options)
    deleted = delete_all(provider_type, by=shell_caller())
    command.stdout.write(f"Deleted {plural(deleted, 'version')} of {provider_type}.")


def _confirm(question: str, options: Namespace) -> None:
    if not confirmed(question, yes=options.yes):
        raise CcproxyError("Nothing is deleted. Add --yes to delete it.")
