"""Steps on the database of a running interceptor; `Interceptor.call` runs one in a process."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from io import StringIO

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from rest_framework.authtoken.models import Token

from ccproxy_site.celery import app
from ccproxy_site.cli import manage
from ccproxy_site.console.api_tokens import token_digest
from flows.lineage.linker import BATCH_FLOWS, Linker
from flows.search.indexer import Indexer
from interceptor.config.transfer.database import ensure_database
from providers.models import Provider

API_TOKEN = "e2e-token"


def sign_in() -> tuple[str, str]:
    """Make an administrator with `API_TOKEN` and a session; the session cookie's name and value."""
    rights = {"is_staff": True, "is_superuser": True}
    user, _ = User.objects.get_or_create(username="e2e", defaults=rights)
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    Token.objects.get_or_create(user=user, defaults={"key": token_digest(API_TOKEN)})
    return settings.SESSION_COOKIE_NAME, str(session.session_key)


def store_key(name: str, key: str) -> None:
    """Save a provider's API key."""
    row = Provider.objects.get(name=name)
    row.secret = key
    row.save()


def order_renewal() -> None:
    """Ask the task worker to renew the logins that are due."""
    app.send_task("providers.renew_logins")


def bring_up_to_date() -> list[str]:
    """Open the database, link and index its flows; the notes of the migration."""
    notes = ensure_database(check_columns=True).notes
    linker, indexer = Linker(), Indexer()
    while linker.link_pending() or indexer.index_pending(BATCH_FLOWS):
        pass
    return [*notes]


def admin_lists() -> list[str]:
    """Return the address of every model's list in the admin."""
    return [f"/admin/{m._meta.app_label}/{m._meta.model_name}/" for m in admin.site._registry]


def printed_by(commands: Sequence[Sequence[str]]) -> list[str]:
    """Run management commands; each one's output."""
    texts = []
    for words in commands:
        out = StringIO()
        call_command(*words, stdout=out)
        texts.append(out.getvalue())
    return texts


def run_command(
    arguments: Sequence[str], stdin: str, environ: dict[str, str]
) -> tuple[int, str, str]:
    """Run `manage.py` with these arguments as this process; its status, output and errors."""
    os.environ.update(environ)
    file = partial(tempfile.TemporaryFile, "w+")
    with file() as given, file() as output, file() as errors:
        given.write(stdin)
        given.seek(0)
        for descriptor, own in enumerate((given, output, errors)):
            os.dup2(own.fileno(), descriptor)
        status = _status_of(arguments)
        output.seek(0)
        errors.seek(0)
        return status, output.read(), errors.read()


def _status_of(arguments: Sequence[str]) -> int:
    try:
        manage(["manage.py", *arguments])
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
