"""One sentence about a flow, in parts that a page joins by " · ".

Example: "POST /v1/messages · opus → haiku at local by rule “cheap” · add_system changed the body ·
200 streamed in 4.1 s".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from flows.display.units import duration, plural
from flows.failure import is_error_status
from flows.lookup_method import NO_HTTP
from flows.models import Flow
from flows.record import AttemptRecord
from flows.sides import HookTrace
from providers.base.names import (
    ANTHROPIC_MESSAGES,
    GOOGLE_GENERATE,
    OPENAI_CHAT,
    OPENAI_RESPONSES,
)

Tone = Literal["", "changed", "bad", "live"]
ROUTING_STAGE: Final = "transform"
SHAPE_STAGE: Final = "shape"
"""Stage of the inner hooks of a shape."""
ROUTING_STEPS: Final = frozenset({"passthrough", "redirect", "transform"})
CREDENTIAL_HOOK: Final = "inject_auth"
_CUT_WORDS: Final = (
    "closed",
    "cut",
    "disconnect",
    "in the middle",
    "reset",
    "sent nothing",
    "stopped",
    "went away",
)
"""Words of errors about connections; any other error of a 200 came inside of the response."""
_FORMAT_LABELS: Final[dict[str, str]] = {
    ANTHROPIC_MESSAGES: "Anthropic",
    OPENAI_CHAT: "OpenAI Chat",
    OPENAI_RESPONSES: "OpenAI Responses",
    GOOGLE_GENERATE: "Google",
}
_MAX_PATH_CHARS: Final = 80


@dataclass(frozen=True, slots=True)
class Part:
    """A clause and its colour."""

    text: str
    tone: Tone = ""


def sentence(
    flow: Flow, traces: Sequence[HookTrace], attempts: Sequence[AttemptRecord] = ()
) -> list[Part]:
    """Return the request, its route and the reason, the changes, the attempts, and the end."""
    if flow.method in NO_HTTP and flow.is_captured:
        return _connection(flow)
    request = Part(f"{flow.method} {_short(flow.path)}")
    route = _route(flow)
    changes = _changes(flow, traces)
    parts = [request, route, _translation(flow), *changes, _attempts(attempts), _end(flow)]
    return [part for part in parts if part.text]


def _connection(flow: Flow) -> list[Part]:
    """Return the parts of a name lookup, or of a connection whose content was not read."""
    subject = Part(f"{flow.method} {flow.host} {flow.path}")
    return [subject, _connection_end(flow)]


def _connection_end(flow: Flow) -> Part:
    if flow.action == "refused":
        return Part("refused by ccproxy", "bad")
    if flow.state == Flow.State.ERROR:
        return Part("failed", "bad")
    if flow.state == Flow.State.LIVE:
        return Part("open", "live")
    if flow.method == "DNS":
        return Part(f"{flow.route}{_took(flow)}")
    if flow.duration_ms is None:
        return Part("forwarded unread")
    return Part(f"forwarded unread, open for {duration(flow.duration_ms)}")


def _took(flow: Flow) -> str:
    if flow.duration_ms is None:
        return ""
    return f" in {duration(flow.duration_ms)}"


def _short(path: str) -> str:
    path = path.partition("?")[0]
    if len(path) <= _MAX_PATH_CHARS:
        return path
    return f"{path[: _MAX_PATH_CHARS - 2]}…"


def _route(flow: Flow) -> Part:
    if flow.action == "local":
        return Part("answered by ccproxy itself")
    if flow.action == "refused":
        return Part("refused by ccproxy", "bad")
    target = f"provider {flow.provider}" if flow.provider else flow.host
    if not target:
        return Part(flow.requested_model)
    to = f"{target}{_reason(flow)}"
    if not flow.requested_model:
        return Part(f"to {to}")
    if flow.sent_model and flow.sent_model != flow.requested_model:
        return Part(f"{flow.requested_model} → {flow.sent_model} at {to}", "changed")
    return Part(f"{flow.requested_model} → {to}")


def _reason(flow: Flow) -> str:
    if flow.rule:
        return f" by rule “{flow.rule}”"
    if flow.credential_injected:
        return " by sentinel"
    return ""


def _translation(flow: Flow) -> Part:
    """Name the formats and the losses: "translated OpenAI Chat → Anthropic, 3 losses"."""
    formats = translated(flow)
    if not formats:
        return Part("")
    losses = f", {plural(len(flow.losses), 'loss', 'losses')}" if flow.losses else ""
    return Part(f"translated {formats}{losses}", "changed")


def translated(flow: Flow) -> str:
    """Return the formats that a flow was translated between, "" if it was not translated.

    Example: "OpenAI Chat → Anthropic".
    """
    if flow.action != "transform" or flow.client_format == flow.provider_format:
        return ""
    if not flow.client_format or not flow.provider_format:
        return ""
    return f"{_format_label(flow.client_format)} → {_format_label(flow.provider_format)}"


def _format_label(name: str) -> str:
    """Return a format's short label: anthropic_messages → "Anthropic"."""
    return _FORMAT_LABELS.get(name, name)


def changed_hooks(flow: Flow) -> list[str]:
    """Return the hooks that changed something, each once; the route covers routing itself."""
    names = dict.fromkeys(flow.hooks_changed)
    return [name for name in names if name not in ROUTING_STEPS]


def _changes(flow: Flow, traces: Sequence[HookTrace]) -> list[Part]:
    if flow.action in ("local", "refused"):
        return []
    if not traces:
        return [_untraced_changes(flow)]
    parts = []
    failed = next((trace for trace in traces if trace.outcome == "error"), None)
    if failed is not None:
        parts.append(Part(f"hook {failed.hook} failed", "bad"))
    return [*parts, _traced_changes(traces)]


def _untraced_changes(flow: Flow) -> Part:
    # The writer has not stored the traces yet, or retention deleted them: the row still has names.
    names = changed_hooks(flow)
    if not names:
        return Part("no hook changed it")
    if names == [CREDENTIAL_HOOK]:
        return Part("hooks set only the credential")
    return Part(f"{_hooks(names)} changed it", "changed")


def _traced_changes(traces: Sequence[HookTrace]) -> Part:
    changes: set[str] = set()
    names: dict[str, None] = {}
    for trace in traces:
        # The hooks of a shape work on a draft; the step of the shape has what was sent.
        if trace.stage in (ROUTING_STAGE, SHAPE_STAGE):
            continue
        # "meta:" is a note of the hook for others; nothing of it is sent.
        sent = [change for change in trace.changed if not change.startswith("meta:")]
        if sent:
            changes.update(sent)
            names[trace.hook] = None
    if not changes:
        return Part("no hook changed it")
    # Every routed request gets its credential: nothing that a reader has to look at.
    if list(names) == [CREDENTIAL_HOOK]:
        return Part("hooks set only the credential")
    return Part(f"{_hooks(list(names))} changed {_things(changes)}", "changed")


def _attempts(attempts: Sequence[AttemptRecord]) -> Part:
    """Name what the attempts before the last one got.

    - one provider: "sent 3 times after 503 and no response"
    - fallbacks: "sent to backup after 503 of main", "sent 3 times, to backup after 503 of main"
    """
    if len(attempts) < 2:
        return Part("")
    names = list(dict.fromkeys(_candidates(attempts)))
    got = [str(each.status_code or "no response") for each in attempts[:-1]]
    if len(names) == 1:
        after = _listed(list(dict.fromkeys(got)))
        return Part(f"sent {len(attempts)} times after {after}", "changed")
    count = f"sent {len(attempts)} times, " if len(attempts) > len(names) else "sent "
    failures = [
        f"{result} of {name}" for result, name in zip(got, _candidates(attempts), strict=False)
    ]
    after = _listed(list(dict.fromkeys(failures)))
    return Part(f"{count}to {_candidates(attempts)[-1]} after {after}", "changed")


def _candidates(attempts: Sequence[AttemptRecord]) -> list[str]:
    """Return the provider of each attempt; with its model where one provider has several."""
    providers = {each.provider for each in attempts}
    candidates = {(each.provider, each.model) for each in attempts}
    if len(candidates) == len(providers):
        return [each.provider for each in attempts]
    return [each.candidate for each in attempts]


def _things(changes: Collection[str]) -> str:
    """Name the changed things.

    Example: `{"header:x-a", "header:x-b", "body"}` → "2 headers and the body".
    """
    things = []
    headers = [change for change in changes if change.startswith("header:")]
    kinds = {change.partition(":")[0] for change in changes}
    if headers:
        things.append(plural(len(headers), "header"))
    if "body" in kinds:
        things.append("the body")
    if "url" in kinds:
        things.append("the address")
    return _listed(things or ["something"])


def _hooks(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return plural(len(names), "hook")


def _end(flow: Flow) -> Part:
    if flow.state == Flow.State.LIVE:
        return _live_end(flow)
    code = str(flow.status_code) if flow.status_code else ""
    is_failure = is_error_status(flow.status_code)
    took = _took(flow)
    if flow.state == Flow.State.ERROR:
        if not code:
            return Part(f"failed{took}", "bad")
        how = "" if is_failure else f" {_failed_how(flow.error)}"
        return Part(f"{code}{how}{took}", "bad")
    if flow.is_websocket:
        return Part(f"websocket, open for {duration(flow.duration_ms)}" if took else "websocket")
    verb = " streamed" if flow.is_stream else ""
    return Part(f"{code or 'no response'}{verb}{took}", "bad" if is_failure else "")


def _failed_how(error: str) -> str:
    """Say if a response was cut, or reported a failure inside of it: "cut off" or "failed"."""
    lowered = error.lower()
    is_cut = not lowered or any(word in lowered for word in _CUT_WORDS)
    return "cut off" if is_cut else "failed"


def _live_end(flow: Flow) -> Part:
    if flow.is_websocket:
        return Part("websocket open", "live")
    if flow.status_code:
        return Part(f"{flow.status_code} streaming", "live")
    return Part("waiting for the response", "live")


def _listed(things: list[str]) -> str:
    """Join with commas and "and": `["a", "b", "c"]` → "a, b and c"."""
    if len(things) == 1:
        return things[0]
    return f"{', '.join(things[:-1])} and {things[-1]}"
