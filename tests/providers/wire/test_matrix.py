from __future__ import annotations

import pytest

from .matrix import KNOWN, table


@pytest.mark.corpus
def test_the_table_of_pairs_and_features(corpus, capsys):
    text, failures = table(corpus)
    with capsys.disabled():
        print("\n" + text, *failures, sep="\n")
    assert set(failures) == KNOWN
