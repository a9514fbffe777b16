"""Commented `ccproxy.yaml` that `ccproxy init` writes. No Django."""

from __future__ import annotations

from pathlib import Path

from providers.base.private_file import create_private

TEMPLATE = """\
# ccproxy server settings. What is commented out shows its default;
# docs/configuration.md lists every setting.
# Each can also be set by a variable: CCPROXY_PORT=4001, CCPROXY_INSPECTOR__PORT=8084.
# A change here takes effect at the next `ccproxy start`.

ccproxy:
  host: 127.0.0.1        # where the proxy listens; other addresses need a client token
  port: 4000             # point your SDK's base URL here

  # allowed_hosts: []    # further names by which clients call the proxy, e.g. host.docker.internal
  # log_level: INFO      # DEBUG, INFO, WARNING, ERROR, CRITICAL
  # log_file: ccproxy.log    # relative to this directory; null: none
  # provider_timeout: null   # seconds, for the proxy's own calls to providers; null: no limit

  inspector:
    port: 8083           # the console, on loopback
    # cert_dir: null     # certificate authority; null: this directory
    # readiness:
    #   url: null        # asked once at start, e.g. https://1.1.1.1/; null: start offline
    # mitmproxy:
    #   body_size_limit: 200m    # larger requests are refused; null: no limit

  # flows:
  #   retention:         # the oldest flows go first; null: no limit
  #     max_age_days: 30
  #     max_flows: 200000
  #     max_bytes: 10737418240

  # auth:
  #   command_timeout_seconds: 5

# Providers, hooks, inspector.transforms, shaping.providers and pplx.models live in the database:
# edit them in the console while the proxy runs. They may be written here too, below `ccproxy:`, in
# the form that `ccproxy exportconfig` prints. Then apply them with `ccproxy importconfig`; when the
# database is new, that happens by itself. For example:
#
#   providers:
#     anthropic:
#       auth: {type: command, command: printenv ANTHROPIC_API_KEY, header: x-api-key}
#       host: api.anthropic.com
#       path: /v1/messages
#       type: anthropic
#     local:
#       auth: null
#       scheme: http
#       host: 127.0.0.1
#       port: 11434
#       path: /v1/chat/completions
#       type: openai
#
#   hooks:
#     inbound: [ccproxy.hooks.inject_auth, ccproxy.hooks.extract_session_id]
#     outbound: [ccproxy.hooks.verbose_mode, ccproxy.hooks.shape, ccproxy.hooks.commitbee_compat]
"""


def set_aside(path: Path) -> None:
    """Move an existing file to NAME.bak, so that nothing is lost when a new one is written."""
    if path.exists():
        path.replace(backup_of(path))


def backup_of(path: Path) -> Path:
    """Return the path to which `set_aside` moves a file."""
    return path.with_name(path.name + ".bak")


def write_template(path: Path) -> bool:
    """Write the template (0600, in a directory of 0700); False when the file is there already."""
    return create_private(path, TEMPLATE)
