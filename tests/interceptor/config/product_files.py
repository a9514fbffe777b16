"""Files as users of the product have them: every form that its description shows."""

from __future__ import annotations

SENTINEL_PROVIDERS = """\
providers:
  anthropic:
    auth:
      type: command
      command: "cat ~/.anthropic/oauth_token"
    host: api.anthropic.com
    path: /v1/messages
    type: anthropic
  gemini:
    auth:
      type: file
      file: "~/.config/gemini/oauth_token"
    host: cloudcode-pa.googleapis.com
    path: "/v1internal:{action}"
    type: gemini
  openai:
    auth:
      type: command
      command: "op read 'op://vault/openai/api_key'"
      header: "authorization"
    host: api.openai.com
    path: /v1/chat/completions
    type: openai
"""

CONFIG_PROVIDERS = """\
providers:
  anthropic:
    auth:
      type: command
      command: "cat ~/.anthropic/oauth_token"
    host: api.anthropic.com
    path: /v1/messages
    type: anthropic
  deepseek:
    auth:
      type: command
      command: "printenv DEEPSEEK_API_KEY"
      header: x-api-key
    host: api.deepseek.com
    path: /anthropic/v1/messages
    type: anthropic
"""

HOOKS = """\
hooks:
  inbound:
    - ccproxy.hooks.inject_auth
    - ccproxy.hooks.extract_session_id
    - ccproxy.hooks.extract_pplx_files
    - ccproxy.hooks.pplx_thread_inject
  outbound:
    - ccproxy.hooks.gemini_cli
    - ccproxy.hooks.pplx_stamp_headers
    - ccproxy.hooks.pplx_preflight
    - ccproxy.hooks.inject_mcp_notifications
    - ccproxy.hooks.verbose_mode
    - ccproxy.hooks.commitbee_compat
    - ccproxy.hooks.shape
"""

PASSTHROUGH_RULE = """\
inspector:
  transforms:
    - action: passthrough
      match_host: cloudcode-pa\\.googleapis\\.com$
"""

REDIRECT_RULE = """\
inspector:
  transforms:
    - action: redirect
      match_path: ^/v1internal
      dest_provider: gemini
"""

TRANSFORM_RULE = """\
inspector:
  transforms:
    - action: transform
      match_path: ^/v1/chat/completions
      match_model: ^gpt-4o
      dest_provider: anthropic
      dest_model: claude-haiku-4-5-20251001
"""

SETTINGS = """\
flows:
  default_jq_filters:
    - 'map(select(.request.host | endswith("anthropic.com")))'
otel:
  enabled: true
  endpoint: "http://localhost:4317"
  service_name: "ccproxy"
inspector:
  cert_dir: ~/.config/ccproxy
  provider_map:
    api.anthropic.com: anthropic
    openrouter.ai: openrouter
shaping:
  providers:
    anthropic:
      shape_hooks:
        - ccproxy.shaping.regenerate
        - hook: ccproxy.shaping.caching.strip
          params:
            paths: ["system.*.cache_control"]
"""

ALL = {
    "sentinel providers": SENTINEL_PROVIDERS,
    "config providers": CONFIG_PROVIDERS,
    "hooks": HOOKS,
    "passthrough": PASSTHROUGH_RULE,
    "redirect": SENTINEL_PROVIDERS + REDIRECT_RULE,
    "transform": SENTINEL_PROVIDERS + TRANSFORM_RULE,
    "settings": SETTINGS,
    "everything": SENTINEL_PROVIDERS + HOOKS + TRANSFORM_RULE + "port: 4010\nlog_level: DEBUG\n",
}


def below_root(text: str) -> str:
    """The same file with the `ccproxy:` root."""
    return "ccproxy:\n" + "".join(f"  {line}\n" for line in text.splitlines())
