"""Access keys of AWS in the forms in which people and programs give them."""

from __future__ import annotations

import json

import pytest

from providers.auth.aws.access_keys import AwsKeys, read_aws_keys
from providers.auth.sources import SourceFailed

EXPORTED = {
    "Version": 1,
    "AccessKeyId": "ASIA1",
    "SecretAccessKey": "s/e+c=",
    "SessionToken": "t==",
    "Expiration": "2026-11-29T22:00:00+00:00",
}


def test_a_line_has_two_or_three_parts() -> None:
    assert read_aws_keys("AKIA1:s/e+c=") == AwsKeys("AKIA1", "s/e+c=")
    assert read_aws_keys("ASIA1:s/e+c=:t==") == AwsKeys("ASIA1", "s/e+c=", "t==")


def test_json_is_what_the_aws_command_prints() -> None:
    keys = read_aws_keys(json.dumps(EXPORTED, indent=2))
    assert keys == AwsKeys("ASIA1", "s/e+c=", "t==", "", 1795989600.0)
    assert read_aws_keys(json.dumps({**EXPORTED, "Region": "eu-west-1"})).region == "eu-west-1"


@pytest.mark.parametrize(
    "text", ["", "AKIA1", "AKIA1:", ":secret", "{", "{}", '{"AccessKeyId": 1}', "AKIA1:se\ncret"]
)
def test_anything_else_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(SourceFailed) as refused:
        read_aws_keys(text)
    assert "cret" not in str(refused.value)


def test_no_part_of_a_secret_is_shown() -> None:
    assert "s/e+c=" not in repr(read_aws_keys(json.dumps(EXPORTED)))
