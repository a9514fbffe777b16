"""A scripted Code Assist: takes envelopes alone, and answers with envelopes."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes.upstream import Script, Seen, Upstream, sse

PROJECT = "found-project-7"
BASE = "/v1internal:"


def inner_response(text: str, **more: Any) -> dict[str, Any]:
    """A response as Google's public API would send it."""
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "demo"}


def json_script(body: Any, status: int = 200) -> Script:
    """A JSON response."""
    return Script(status=status, pieces=(json.dumps(body).encode(),))


class CodeAssist:
    """The methods of one account, on a scripted upstream.

    Attributes:
        project: what `loadCodeAssist` names; "" for a fresh account.
        polls: how often `onboardUser` is called until it is done.
    """

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.project = PROJECT
        self.polls = 2
        self.setup_status = 200
        self.refusal: int | None = None
        """Answer generating requests with this status."""
        scripts = {
            "generateContent": self._generate,
            "streamGenerateContent": self._stream,
            "countTokens": self._count,
            "loadCodeAssist": self._load,
            "onboardUser": self._onboard,
        }
        for action, script in scripts.items():
            upstream.scripts[BASE + action] = script

    def calls(self, action: str) -> list[Seen]:
        """Every request for a method, in order."""
        return [seen for seen in self.upstream.requests if seen.path == BASE + action]

    def _refused(self, seen: Seen) -> Script | None:
        body = seen.json
        if self.refusal is not None:
            error = {"code": self.refusal, "message": "no", "status": "X", "details": [{"a": 1}]}
            return json_script({"error": error}, self.refusal)
        if "contents" in body or not isinstance(body.get("request"), dict):
            error = {"code": 400, "message": "no envelope", "status": "INVALID_ARGUMENT"}
            return json_script({"error": error}, 400)
        return None

    def _generate(self, seen: Seen) -> Script:
        inner = inner_response("Hello", finishReason="STOP")
        return self._refused(seen) or json_script({"response": inner, "traceId": "trace-1"})

    def _stream(self, seen: Seen) -> Script:
        if refused := self._refused(seen):
            return refused
        parts = [inner_response("Hel"), inner_response("lo", finishReason="STOP")]
        wrapped = [json.dumps({"response": part, "traceId": "trace-1"}).encode() for part in parts]
        if "alt=sse" not in seen.target:
            return Script(pieces=(b"[" + b",".join(wrapped) + b"]",))
        return sse(*(b"data: " + one + b"\r\n\r\n" for one in wrapped))

    def _count(self, seen: Seen) -> Script:
        return self._refused(seen) or json_script({"totalTokens": 31})

    def _load(self, seen: Seen) -> Script:
        del seen
        if self.setup_status != 200:
            return json_script({"error": {"code": self.setup_status}}, self.setup_status)
        tiers = [{"id": "other"}, {"id": "free-tier", "isDefault": True}]
        account: dict[str, Any] = {"allowedTiers": tiers}
        if self.project:
            account["cloudaicompanionProject"] = self.project
        return json_script(account)

    def _onboard(self, seen: Seen) -> Script:
        assert seen.json["tierId"] == "free-tier"
        if len(self.calls("onboardUser")) < self.polls:
            return json_script({"name": "operations/1", "done": False})
        response = {"cloudaicompanionProject": {"id": "onboarded-1", "name": "x"}}
        return json_script({"name": "operations/1", "done": True, "response": response})
