"""docs/configuration.md says what the code does."""

from __future__ import annotations

import re

import yaml

from interceptor.config.files.document import parse_document
from interceptor.config.files.reference import TABLES, leaves, with_tables
from interceptor.config.files.server import ServerSettings
from interceptor.config.files.whole_file import check_file
from tests.conftest import ROOT

PAGE = (ROOT / "docs/configuration.md").read_text()


def test_the_tables_are_up_to_date():
    assert with_tables(PAGE) == PAGE, (
        "run: python -m interceptor.config.files.reference docs/configuration.md"
    )


def test_every_table_is_on_the_page():
    assert set(re.findall(r"<!-- table: (\w+) -->", PAGE)) == set(TABLES)


def test_every_setting_is_explained():
    unexplained = [".".join(path) for path, info in leaves(ServerSettings) if not info.description]
    assert unexplained == []
    assert [
        ".".join(path) for path, _ in leaves(ServerSettings) if f"`{'.'.join(path)}`" not in PAGE
    ] == []


def test_the_examples_are_valid():
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) >= 4
    for example in examples:
        check_file(parse_document(example, "docs/configuration.md"))
        assert yaml.safe_load(example)
