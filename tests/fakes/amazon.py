"""Amazon Bedrock's InvokeModel on loopback: it checks signatures by code of its own, and frames its
streams.

Signatures: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
Frames: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import struct
import time
from binascii import crc32
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

from tests.fakes.upstream import Script, Seen

MAX_OFF_S = 300
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request,"
    r" SignedHeaders=([^,]+), Signature=([0-9a-f]{64})"
)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature_of(
    seen: Seen, *, secret: str, date: str, region: str, service: str, signed: str
) -> str:
    """The signature that a request must have."""
    path, _, query = seen.target.partition("?")
    names = signed.split(";")
    values = {name.lower(): " ".join(value.split()) for name, value in seen.headers}
    canonical = "\n".join(
        [
            seen.method,
            # All services but S3 encode the path once more.
            quote(path, safe="/-_.~"),
            "&".join(sorted(query.split("&"))) if query else "",
            "".join(f"{name}:{values[name]}\n" for name in names),
            signed,
            hashlib.sha256(seen.body).hexdigest(),
        ]
    )
    scope = f"{date}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", values["x-amz-date"], scope, digest])
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = _hmac(key, part)
    return _hmac(key, to_sign).hex()


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message of an event stream; all headers are strings (type 7)."""
    packed = b""
    for name, value in headers.items():
        packed += struct.pack("!B", len(name)) + name.encode()
        packed += b"\x07" + struct.pack("!H", len(value)) + value.encode()
    prelude = struct.pack("!II", len(packed) + len(payload) + 16, len(packed))
    head = prelude + struct.pack("!I", crc32(prelude)) + packed + payload
    return head + struct.pack("!I", crc32(head))


def chunk(event: dict[str, Any]) -> bytes:
    """An event of Anthropic's in its frame."""
    inner = base64.b64encode(json.dumps(event).encode()).decode()
    headers = {
        ":event-type": "chunk",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame(headers, json.dumps({"bytes": inner, "p": "abcdefghi"}).encode())


def exception(name: str, message: str) -> bytes:
    """An exception in the middle of a stream."""
    headers = {
        ":exception-type": name,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, json.dumps({"message": message}).encode())


@dataclass
class Bedrock:
    """The vendor. `choose` answers a request on the path of a model."""

    key_id: str = "AKIAEXAMPLE"
    secret: str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    token: str = ""
    region: str = "eu-west-1"
    clock_off_s: float = 0.0
    """How far this server's clock is ahead."""
    events: tuple[bytes, ...] = ()
    answer: dict[str, Any] = field(default_factory=dict)
    accepted: list[Seen] = field(default_factory=list)

    def choose(self, seen: Seen) -> Script:
        """Refuse a wrong signature or a field that Bedrock does not know, else answer."""
        if problem := self._refusal(seen):
            return self._refused(403, problem)
        if extra := seen.json.keys() & {"model", "stream"}:
            return self._refused(400, f"{extra}: Extra inputs are not permitted")
        if seen.json.get("anthropic_version") != "bedrock-2023-05-31":
            return self._refused(400, "anthropic_version: Field required")
        self.accepted.append(seen)
        if not seen.path.endswith("/invoke-with-response-stream"):
            return Script(pieces=(json.dumps(self.answer).encode(),))
        kind = (("content-type", "application/vnd.amazon.eventstream"),)
        return Script(headers=kind, pieces=self.events, framing="chunked")

    def _refused(self, status: int, message: str) -> Script:
        date = formatdate(time.time() + self.clock_off_s, usegmt=True)
        headers = (("content-type", "application/json"), ("date", date))
        return Script(status, headers, (json.dumps({"message": message}).encode(),))

    def _refusal(self, seen: Seen) -> str:
        found = _AUTHORIZATION.fullmatch(seen.header("authorization") or "")
        if found is None:
            return "Missing Authentication Token"
        key_id, date, region, service, signed, signature = found.groups()
        if key_id != self.key_id or (seen.header("x-amz-security-token") or "") != self.token:
            return "The security token included in the request is invalid."
        if (region, service) != (self.region, "bedrock"):
            return f"Credential should be scoped to a valid region, not '{region}'."
        stamp = seen.header("x-amz-date") or ""
        made = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        if time.time() + self.clock_off_s - made > MAX_OFF_S:
            return f"Signature expired: {stamp} is now earlier than allowed (5 min.)"
        required = {"host", "x-amz-date"} | ({"x-amz-security-token"} if self.token else set())
        if not required <= set(signed.split(";")):
            return "SignedHeaders lacks a header"
        wanted = signature_of(
            seen, secret=self.secret, date=date, region=region, service=service, signed=signed
        )
        if not hmac.compare_digest(signature, wanted):
            return "The request signature we calculated does not match the signature you provided."
        return ""
