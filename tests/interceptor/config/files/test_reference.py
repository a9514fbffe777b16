"""docs/configuration.md says what the code does."""

from __future__ import annotations

import re

import yaml

from interceptor.config.files.document import parse_document
from interceptor.config.files.leaves import leaves
from interceptor.config.files.reference import TABLES, with_tables
from interceptor.config.files.server import ServerSettings
from interceptor.config.files.whole_file import check_file
from tests.environment import ROOT

PAGE = (ROOT / "docs/configuration.md").read_text()


def test_the_tables_are_up_to_date():
    assert with_tables(PAGE) == PAGE, (
        "run: python -m interceptor.config.files.reference docs/configuration.md"
    )


def test_every_table_is_on_the_page():
    assert set(re.findall(r"<!-- table: (\w+) -->", PAGE)) == set(TABLES)


def test_every_setting_is_explained():
    names = {".".join(leaf.path): leaf.info.description for leaf in leaves(ServerSettings)}
    assert [name for name, description in names.items() if not description] == []
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_the_examples_are_valid():
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) >= 4
    for example in examples:
        check_file(parse_document(example, "docs/configuration.md"))
        assert yaml.safe_load(example)
