"""The virtual file shape.json, and unified diffs that change it with a strict match."""

from __future__ import annotations

import difflib
import json
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapes.replay.shape_document import ShapeParts, document_text, patched, read_document, restored
from shapes.replay.shape_text import BadShape
from shapes.replay.unified_diff import BadPatch, apply_diff, make_diff

PARTS = ShapeParts(
    method="POST",
    origin="https://h.example",
    path="/v1/messages",
    query="beta=true",
    headers=(("x-b", "2"), ("accept", "*/*"), ("x-b", "3"), ("x-a", "1")),
    body='{"z":1,"system":[{"type":"text","text":"a\u2028b"}],"a":{"y":1.0,"x":null}}',
)


def test_the_file_is_pretty_and_sorted_and_is_read_back():
    text = document_text(PARTS)
    assert list(json.loads(text)) == ["body", "headers", "method", "url"]
    assert json.loads(text)["headers"]["x-b"] == ["2", "3"]
    assert text.startswith('{\n  "body": {\n    "a": {\n')
    assert restored(read_document(text), PARTS) == PARTS


def test_a_patch_changes_what_it_names_and_keeps_every_order():
    new = document_text(PARTS).replace('"*/*"', '"json"').replace('"x": null', '"w": 2')
    diff = make_diff(document_text(PARTS), new)
    changed = patched(PARTS, [("0001-a.patch", diff)])
    assert changed.headers == (("x-b", "2"), ("accept", "json"), ("x-b", "3"), ("x-a", "1"))
    assert list(json.loads(changed.body)) == ["z", "system", "a"]
    assert json.loads(changed.body)["a"] == {"y": 1.0, "w": 2}


def test_patches_apply_each_on_the_result_of_the_one_before():
    first = document_text(PARTS).replace('"*/*"', '"json"')
    second = first.replace('"json"', '"text"')
    diffs = [("1", make_diff(document_text(PARTS), first)), ("2", make_diff(first, second))]
    assert patched(PARTS, diffs).headers[1] == ("accept", "text")
    with pytest.raises(BadPatch, match=r"patch 2: the hunk @@ .* does not match the shape"):
        patched(PARTS, diffs[1:])


GOOD = "--- a/shape.json\n+++ b/shape.json\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"


@pytest.mark.parametrize(
    ("diff", "problem"),
    [
        ("", "the patch has no hunk"),
        ("hello\n", "the patch has no hunk"),
        (GOOD.replace("two", "zwei"), r"the hunk @@ -1,2 \+1,2 @@ does not match the shape"),
        (GOOD.replace("-1,2", "-2,2"), "does not match"),
        (GOOD.replace("-1,2", "-0,2"), "overlaps"),
        (GOOD.replace("b/shape.json", "b/other.json"), "it may change shape.json alone"),
        (GOOD.replace("a/shape.json", "/dev/null"), "it may change shape.json alone"),
        (GOOD.replace("+++ b/shape.json\n", ""), r"not followed by \+\+\+"),
        (GOOD.replace("+1,2", "+1,9"), "is cut off"),
        (GOOD.replace("+1,2", "+1").replace("-two\n+2\n", "+2\n-two\n"), "has other lines"),
        (GOOD + "+more\n", "has more lines than it names"),
        (GOOD.replace("@@ -1,2 +1,2 @@", "@@ -x @@"), "is no header of a hunk"),
        (GOOD.replace(" one", "*one"), r"begins with “\*”"),
        (GOOD.replace("-two\n", "\\ No newline at end of file\n-two\n"), "has no newline"),
        (GOOD + GOOD.partition("b/shape.json\n")[2], "overlaps the one before it"),
        ("@@ -1 +1 @@\n-one\n+1\n", "names no file"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused_by_its_hunk(diff, problem):
    with pytest.raises(BadPatch, match=problem):
        apply_diff("one\ntwo\nthree\n", diff)


def test_quilts_comments_and_levels_are_understood():
    text = "one\ntwo\nthree\n"
    assert apply_diff(text, "Why: because\n\n" + GOOD) == "one\n2\nthree\n"
    bare = GOOD.replace("a/shape.json", "shape.json").replace("b/shape.json", "shape.json")
    assert apply_diff(text, bare, strip=0) == "one\n2\nthree\n"
    assert apply_diff(text, GOOD.replace("a/", "a/b/").replace("+++ b/", "+++ b/c/"), strip=2)
    with pytest.raises(BadPatch, match="it may change"):
        apply_diff(text, bare)


TEXTS = st.lists(st.sampled_from(["a", "b", "c", "", "{", "x\u2028y"]), min_size=1, max_size=30)


@given(old=TEXTS, new=TEXTS)
def test_every_diff_that_is_made_applies(old, new):
    before, after = "\n".join(old) + "\n", "\n".join(new) + "\n"
    if before != after:
        assert apply_diff(before, make_diff(before, after)) == after


@given(old=TEXTS, new=TEXTS, other=TEXTS)
def test_a_diff_of_another_text_is_refused_or_leaves_what_it_does_not_name(old, new, other):
    before, after, text = ("\n".join(lines) + "\n" for lines in (old, new, other))
    diff = make_diff(before, after)
    if not diff:
        return
    try:
        found = apply_diff(text, diff)
    except BadPatch:
        return
    counts = difflib.unified_diff(before.split("\n"), after.split("\n"))
    assert found.count("\n") - text.count("\n") == after.count("\n") - before.count("\n")
    assert list(counts)


@pytest.mark.skipif(shutil.which("patch") is None, reason="needs the program patch")
def test_our_diffs_are_those_of_the_program_patch(tmp_path):
    new = document_text(PARTS).replace('"*/*"', '"json"')
    (tmp_path / "shape.json").write_text(document_text(PARTS))
    diff = make_diff(document_text(PARTS), new)
    subprocess.run(["patch", "-p1", "-s"], input=diff, text=True, cwd=tmp_path, check=True)
    assert (tmp_path / "shape.json").read_text() == new


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is no JSON"),
        ("[]", "must hold a JSON object"),
        ('{"body": {}, "headers": {}, "method": "", "url": "/a"}', "needs a method"),
        (
            '{"body": [], "headers": {}, "method": "POST", "url": "/a"}',
            "body in shape.json must be",
        ),
        ('{"body": {}, "headers": {"a": 1}, "method": "POST", "url": "/a"}', "must be text"),
        ('{"body": {}, "headers": [], "method": "POST", "url": "/a"}', "must be a mapping"),
        ('{"body": {}, "headers": {}, "method": "POST"}', "needs a url"),
        ('{"body": {}, "headers": {}, "method": "POST", "url": "http://[/"}', "cannot be read"),
    ],
)
def test_a_file_that_is_no_shape_is_refused(text, problem):
    with pytest.raises(BadShape, match=problem):
        read_document(text)
