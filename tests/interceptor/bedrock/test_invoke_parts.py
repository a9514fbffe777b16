"""Bodies for InvokeModel, regions of hosts, and what a refusal is explained with."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from interceptor.bedrock.aws_signature import region_of
from interceptor.bedrock.refusals import explained
from interceptor.pipeline.body import Body
from interceptor.pipeline.headers import HeaderMap
from interceptor.transform.cloud_claude import fit_for_cloud
from providers.auth.aws.access_keys import AwsKeys
from tests.interceptor.proxied import provider

PATH = "/model/m/invoke"
BEDROCK = provider("aws", 1, type="bedrock_anthropic")
VERSION = b'"anthropic_version":"bedrock-2023-05-31"'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"model": "m", "stream": true, "a": [1.0,  2]}', b'{%s, "a": [1.0,  2]}' % VERSION),
        (b'{"a": {"model": "m", "stream": 1}}', b'{%s,"a": {"model": "m", "stream": 1}}' % VERSION),
        (b'{"anthropic_version": "own", "stream":false}', b'{"anthropic_version": "own"}'),
        (b'{"stre\\u0061m":false,"a":1}', b'{%s,"a":1}' % VERSION),
        (b"[1]", b"[1]"),
        (b"no json", b"no json"),
    ],
)
def test_model_and_stream_leave_the_body(before: bytes, after: bytes) -> None:
    body = Body(before)
    fit_for_cloud(body, HeaderMap(), BEDROCK, PATH)
    assert body.data == after


def test_betas_move_into_the_body() -> None:
    body, headers = Body(b'{"a":1}'), HeaderMap(((b"Anthropic-Beta", b"x-1, y-2"),))
    fit_for_cloud(body, headers, BEDROCK, PATH)
    assert body.json["anthropic_beta"] == ["x-1", "y-2"]
    assert not headers.fields


def test_other_providers_get_what_the_client_sent() -> None:
    body = Body(b'{"model": "m"}')
    assert fit_for_cloud(body, HeaderMap(), provider("p", 1), PATH) is None
    assert body.data == b'{"model": "m"}'


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.eu-central-1.amazonaws.com", "eu-central-1"),
        ("bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("vpce-1-ab.bedrock-runtime.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
        ("bedrock-runtime.eu-west-1.amazonaws.com.evil.example", "of-the-key"),
        ("127.0.0.1", "of-the-key"),
    ],
)
def test_the_host_names_the_region(host: str, region: str) -> None:
    assert region_of(host, AwsKeys("a", "b", region="of-the-key")) == region


def test_a_clock_is_compared_with_amazons() -> None:
    date = formatdate(1_000_000, usegmt=True)
    words = "Signature not yet current: 20260101T000000Z is still later"
    told = explained(words, provider="p", region="r", date=date, now_s=1_000_600)
    assert told.startswith("The clock of this machine is 10 minutes ahead.")
    assert told.endswith(words)
    told = explained("Model is not ready", provider="p", region="r", date="", now_s=0)
    assert told == "Model is not ready"
