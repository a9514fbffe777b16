"""The ccproxy.yaml that `ccproxy init` writes."""

from __future__ import annotations

import re

from interceptor.config.files.document import parse_document
from interceptor.config.files.server import ServerSettings
from interceptor.config.files.template import TEMPLATE, backup_of, set_aside, write_template
from interceptor.config.files.whole_file import check_file


def test_it_says_what_the_defaults_are():
    file = check_file(parse_document(TEMPLATE, "template"))
    assert file.settings.model_dump() == ServerSettings().model_dump()
    assert not file.sections


def test_what_is_commented_out_is_valid_and_the_default():
    head, _, tail = TEMPLATE.partition("# Providers, hooks")
    settings = re.sub(r"^(  +)# (?=[a-z_ ]+:)", r"\1", head, flags=re.MULTILINE)
    assert settings.count("\n  auth:\n") == settings.count("    max_age_days: 30") == 1
    assert (
        check_file(parse_document(settings, "template")).settings.model_dump()
        == ServerSettings().model_dump()
    )
    example = "".join(line[4:] + "\n" for line in tail.splitlines() if line.startswith("#   "))
    sections = check_file(parse_document(example, "template")).sections
    assert set(sections.providers or {}) == {"anthropic", "local"}


def test_it_is_written_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "new" / "ccproxy.yaml"
    assert write_template(path)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    path.write_text("port: 1\n")
    assert not write_template(path)
    assert path.read_text() == "port: 1\n"


def test_what_was_there_is_kept(tmp_path):
    path = tmp_path / "ccproxy.yaml"
    set_aside(path)
    path.write_text("port: 1\n")
    set_aside(path)
    assert (path.exists(), backup_of(path).read_text()) == (False, "port: 1\n")
