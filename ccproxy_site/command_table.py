"""The product's commands: names, applications, roles and summaries. No Django."""

from __future__ import annotations

from typing import Final, NamedTuple

from ccproxy_site.roles import Role


class ProductCommand(NamedTuple):
    """A command. Its options are the function `django_name` of `APP.management.parsers`."""

    django_name: str
    """Its name in `manage.py`."""
    app: str
    role: Role
    """CONSOLE for one that needs all applications."""
    summary: str


COMMANDS: Final[dict[str, ProductCommand]] = {
    "start": ProductCommand(
        "runinterceptor",
        "ccproxy_site",
        Role.CLI,
        "Start the proxy and the console in the foreground.",
    ),
    "init": ProductCommand(
        "interceptorinit",
        "interceptor",
        Role.CONSOLE,
        "Write a commented ccproxy.yaml and create the database.",
    ),
    "run": ProductCommand(
        "withproxy",
        "jail",
        Role.CLI,
        "Run a command whose SDKs talk to the proxy: run -- COMMAND.",
    ),
    "clients": ProductCommand(
        "clients",
        "jail",
        Role.CLI,
        "List the clients that run knows, and how each is seen.",
    ),
    "jail": ProductCommand(
        "jail",
        "jail",
        Role.CLI,
        "Run a command and capture everything it sends: jail -- COMMAND.",
    ),
    "namespace": ProductCommand(
        "namespace",
        "jail",
        Role.CLI,
        "What the jail needs of this machine: namespace status, namespace doctor.",
    ),
    "status": ProductCommand(
        "interceptorstatus",
        "interceptor",
        Role.CLI,
        "Show what runs; --proxy and --inspect check health by exit code.",
    ),
    "doctor": ProductCommand(
        "doctor",
        "ccproxy_site",
        Role.CLI,
        "Check this installation, and say how to mend what is wrong.",
    ),
    "open": ProductCommand(
        "openconsole",
        "ccproxy_site",
        Role.CLI,
        "Open the console in the browser, signed in.",
    ),
    "login": ProductCommand(
        "loginlink",
        "ccproxy_site",
        Role.CLI,
        "Print a one-time link into the console.",
    ),
    "logs": ProductCommand(
        "interceptorlogs",
        "interceptor",
        Role.CLI,
        "Show the log; -f follows it.",
    ),
    "flows": ProductCommand(
        "flows",
        "flows",
        Role.CLI,
        "List, search, compare, export, import and clear the recorded flows.",
    ),
    "sessions": ProductCommand(
        "sessions",
        "flows",
        Role.CLI,
        "List the sessions with title, client, cost and duration.",
    ),
    "usage": ProductCommand(
        "usage",
        "flows",
        Role.CLI,
        "Show tokens and costs by model, day or session.",
    ),
    "providers": ProductCommand(
        "providers",
        "providers",
        Role.CLI,
        "List the providers, with the state of their credentials.",
    ),
    "rules": ProductCommand(
        "rules",
        "providers",
        Role.CLI,
        "List the rules in the order in which they are tried.",
    ),
    "shapes": ProductCommand(
        "shapes",
        "interceptor",
        Role.CLI,
        "Keep captured requests of reference clients, and shape requests like them.",
    ),
    "explain": ProductCommand(
        "explain",
        "interceptor",
        Role.CLI,
        "Tell what the proxy would do with a request; nothing is sent.",
    ),
    "resend": ProductCommand(
        "resend",
        "interceptor",
        Role.CLI,
        "Send a recorded request again, as it is or edited, and print the response.",
    ),
    "notices": ProductCommand(
        "notices",
        "ccproxy_site",
        Role.CLI,
        "List the notices of failures and other events, or send a sample of one.",
    ),
    "mcp": ProductCommand(
        "mcpstdio",
        "ccproxy_site",
        Role.CONSOLE,
        "Let an agent ask about the record: MCP on standard input and output.",
    ),
    "demo": ProductCommand(
        "demo",
        "ccproxy_site",
        Role.CLI,
        "See it work without any key: a scripted provider and a few requests.",
    ),
    "addprovider": ProductCommand(
        "addprovider",
        "interceptor",
        Role.CLI,
        "Add a provider from a preset, such as mistral or azure-openai.",
    ),
    "setkey": ProductCommand(
        "setkey",
        "interceptor",
        Role.CLI,
        "Store a provider's API key, encrypted, from standard input.",
    ),
    "models": ProductCommand(
        "models",
        "providers",
        Role.CLI,
        "Show what is known of models: what they accept, and since when it is known.",
    ),
    "rotatekey": ProductCommand(
        "rotatekey",
        "providers",
        Role.CLI,
        "Encrypt the stored credentials with a new key, while the proxy runs.",
    ),
    "loginprovider": ProductCommand(
        "loginprovider",
        "providers",
        Role.CLI,
        "Log in to a provider with the browser, for providers with an OAuth login.",
    ),
    "clienttoken": ProductCommand(
        "clienttoken",
        "interceptor",
        Role.CLI,
        "Manage the tokens that clients present.",
    ),
    "apitoken": ProductCommand(
        "apitoken",
        "ccproxy_site",
        Role.CONSOLE,
        "Manage the tokens of the REST API.",
    ),
    "importconfig": ProductCommand(
        "importconfig",
        "interceptor",
        Role.CLI,
        "Read providers, rules and hooks of a ccproxy.yaml.",
    ),
    "exportconfig": ProductCommand(
        "exportconfig",
        "interceptor",
        Role.CLI,
        "Write the configuration as a ccproxy.yaml, without secrets.",
    ),
    "completion": ProductCommand(
        "completion",
        "ccproxy_site",
        Role.CLI,
        "Print the completion of commands and options for bash, zsh or fish.",
    ),
}
"""The product's commands by name. Every other name goes to Django as it is."""
