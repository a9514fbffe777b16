"""See it work without any key (`ccproxy demo`), with a link into the console."""

from __future__ import annotations

from ccproxy_site.console.login_link import make_login_link
from interceptor.management.commands import demo


class Command(demo.Command):
    """The demo, in a process that may make links into the console."""

    def sign_in_link(self, console_url: str) -> str:
        return make_login_link(console_url)
