"""AWS Signature Version 4 of a request, by botocore.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

botocore is loaded with the first signature: it takes a second and some megabytes that no other
provider needs.
"""

from __future__ import annotations

import asyncio
import logging
import re
from functools import cache
from typing import Any, Final

from interceptor.pipeline.headers import HeaderMap
from providers.auth.aws.access_keys import AwsKeys

SERVICE: Final = "bedrock"
NO_REGION: Final = (
    "The provider's host names no AWS region: use bedrock-runtime.REGION.amazonaws.com, or a"
    ' credential in JSON with a "Region".'
)
# bedrock-runtime.eu-west-1.amazonaws.com, bedrock-runtime-fips.us-east-1.amazonaws.com,
# vpce-1-x.bedrock-runtime.eu-west-1.vpce.amazonaws.com.
# https://docs.aws.amazon.com/general/latest/gr/bedrock.html
_HOST: Final = re.compile(
    r"(?:[\w.-]+\.)?bedrock-runtime(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d)\.(?:vpce\.)?"
    r"(?:amazonaws\.com|amazonaws\.com\.cn|api\.aws)"
)
# Headers that are neither AWS's own nor these may change on the way without harm.
_SIGNED: Final = ("host", "content-type")
_OWN_PREFIX: Final = "x-amz-"


def region_of(host: str, keys: AwsKeys) -> str:
    """Return the region of a provider's host, else that of its credential; "" for none."""
    found = _HOST.fullmatch(host.lower())
    return found[1] if found else keys.region


async def load_signer() -> None:
    """Load botocore off the event loop, so that no other request waits for it."""
    if not _signer.cache_info().currsize:
        await asyncio.to_thread(_signer)


@cache
def _signer() -> tuple[Any, Any, Any]:
    """Return botocore's signer, and its types for a request and a key."""
    # The response's stream needs this one.
    import botocore.eventstream  # noqa: F401
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import ReadOnlyCredentials

    # Its debug messages have the request in clear, session token included.
    logging.getLogger("botocore").setLevel(logging.INFO)
    return SigV4Auth, AWSRequest, ReadOnlyCredentials


def sign_headers(
    method: str, url: str, headers: HeaderMap, body: bytes, keys: AwsKeys, region: str
) -> None:
    """Sign a request as it leaves: sets `authorization`, `x-amz-date` and the session token."""
    make_signer, make_request, make_keys = _signer()
    headers.remove("x-amz-security-token")
    signed: dict[str, str] = {}
    for raw, _ in headers.fields:
        name = raw.decode("latin-1").lower()
        if name in _SIGNED or name.startswith(_OWN_PREFIX):
            signed[name] = ",".join(headers.get_all(name))
    request = make_request(method=method, url=url, data=body, headers=signed)
    credentials = make_keys(keys.access_key_id, keys.secret_access_key, keys.session_token or None)
    make_signer(credentials, SERVICE, region).add_auth(request)
    for name in ("X-Amz-Date", "X-Amz-Security-Token", "Authorization"):
        if name in request.headers:
            headers.set(name.lower(), request.headers[name])
