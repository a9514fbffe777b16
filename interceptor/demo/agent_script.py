"""The demo's coding agent: twelve turns of one session, as data for both its ends.

The client builds each request's history from it. The provider finds the turn by the number of its
own messages in the request. Nothing of a vendor is in it.
"""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

MODEL: Final = "demo-agent"
PRICES_USD: Final = {
    "input_usd": "3",
    "output_usd": "15",
    "cache_read_usd": "0.3",
    "cache_write_usd": "3.75",
}
"""Made-up prices for a million tokens, so that the session shows a cost."""
MARK: Final = "You are the coding agent of the ccproxy demo."
QUESTION: Final = (
    "The checkout page shows the wrong total when a cart has a voucher. Find out why, mend it, and"
    " add a test."
)
BREAK_AT: Final = 8
"""Index of the turn before which the client changes its system prompt, so the cache breaks."""
_GUIDE: Final = (
    "Work in small steps. Read before you write. Run the tests after each change. Say what you did"
    " in one sentence. "
)
_MORNING, _AFTERNOON = "Tuesday, 11:58", "Tuesday, 12:03"


@dataclass(frozen=True, slots=True)
class Step:
    """One turn of the agent: what it says, the tool it calls, and what the tool returns."""

    says: str
    tool: str = ""
    arguments: dict[str, Any] | None = None
    result: Any = ""


def picture() -> str:
    """Return a small PNG in base64: a grey page with a red box at the total."""
    width, height = 120, 72
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            is_box = 70 <= x < 112 and 48 <= y < 62
            rows += b"\xc8\x3c\x3c" if is_box else b"\xe6\xe9\xee"
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", size), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)
    return base64.b64encode(png).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_CODE: Final = '''\
def total(cart):
    """Sum of the lines, in cents."""
    amount = sum(line.price * line.count for line in cart.lines)
    if cart.voucher:
        amount -= cart.voucher.percent
    return amount
'''
_TODOS: Final = ("Reproduce the wrong total", "Mend total()", "Add a test with a voucher")


def _todos(done: int) -> dict[str, Any]:
    rows = []
    for index, text in enumerate(_TODOS):
        rows.append({"content": text, "status": "completed" if index < done else "pending"})
    return {"todos": rows}


def _shown_picture() -> list[dict[str, Any]]:
    source = {"type": "base64", "media_type": "image/png", "data": picture()}
    return [
        {"type": "text", "text": "The page at 1280 × 768; the total is marked."},
        {"type": "image", "source": source},
    ]


STEPS: Final = (
    Step("I will make a list first.", "TodoWrite", _todos(0), "The list is kept."),
    Step(
        "Where is the total computed?",
        "Bash",
        {"command": "grep -rn 'def total' shop/", "description": "Find the function"},
        "shop/cart.py:14:def total(cart):",
    ),
    Step("", "Read", {"file_path": "/work/shop/cart.py"}, _CODE),
    Step(
        "A percentage is taken off as cents. I will look at the page to be sure.",
        "Screenshot",
        {"url": "http://localhost:8000/checkout"},
        _shown_picture(),
    ),
    Step(
        "The page shows 4,990 instead of 4,491: 10 cents off instead of 10 %.",
        "TodoWrite",
        _todos(1),
        "The list is kept.",
    ),
    Step(
        "",
        "Edit",
        {
            "file_path": "/work/shop/cart.py",
            "old_string": "        amount -= cart.voucher.percent\n",
            "new_string": "        amount -= amount * cart.voucher.percent // 100\n",
        },
        "The file was changed.",
    ),
    Step(
        "",
        "Bash",
        {"command": "pytest -q tests/test_cart.py", "description": "Run the tests"},
        "...F\nFAILED tests/test_cart.py::test_rounding - assert 4490 == 4491\n1 failed, 3 passed",
    ),
    Step("The rounding goes the wrong way.", "TodoWrite", _todos(1), "The list is kept."),
    Step(
        "",
        "Edit",
        {
            "file_path": "/work/shop/cart.py",
            "old_string": "amount * cart.voucher.percent // 100",
            "new_string": "round(amount * cart.voucher.percent / 100)",
        },
        "The file was changed.",
    ),
    Step(
        "Now the test.",
        "Write",
        {
            "file_path": "/work/tests/test_voucher.py",
            "content": "def test_a_voucher_is_a_share(cart):\n    assert total(cart) == 4491\n",
        },
        "The file was written.",
    ),
    Step(
        "",
        "Bash",
        {"command": "pytest -q", "description": "Run all tests"},
        "28 passed in 1.92s",
    ),
    Step(
        "Done: `total()` took the voucher's percentage off as cents. It now takes it as a share,"
        " rounded to the cent, and **tests/test_voucher.py** keeps it so. All 28 tests pass."
    ),
)
"""The turns. A test compares their number with what the documentation says."""


def system(turn: int) -> list[dict[str, Any]]:
    """Return the system prompt of a turn. Its clock is what breaks the cache."""
    clock = _MORNING if turn < BREAK_AT else _AFTERNOON
    return [
        {"type": "text", "text": f"{MARK} It is {clock}. {_GUIDE * 30}"},
    ]


def tools() -> list[dict[str, Any]]:
    """Return the tools that the agent offers."""
    names = dict.fromkeys(step.tool for step in STEPS if step.tool)
    return [
        {
            "name": name,
            "description": f"{name} of the demo's agent.",
            "input_schema": {"type": "object", "properties": {}, "additionalProperties": True},
        }
        for name in names
    ]


def messages(turn: int) -> list[dict[str, Any]]:
    """Return the history before a turn: the question, then each earlier turn with its result."""
    found: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": QUESTION}]}
    ]
    for index, step in enumerate(STEPS[:turn]):
        found.append({"role": "assistant", "content": blocks(index)})
        result = {"type": "tool_result", "tool_use_id": call_id(index), "content": step.result}
        found.append({"role": "user", "content": [result]})
    return found


def blocks(index: int) -> list[dict[str, Any]]:
    """Return the content of a turn's message."""
    step = STEPS[index]
    found: list[dict[str, Any]] = []
    if step.says:
        found.append({"type": "text", "text": step.says})
    if step.tool:
        call = {"type": "tool_use", "id": call_id(index), "name": step.tool}
        found.append({**call, "input": step.arguments or {}})
    return found


def call_id(index: int) -> str:
    """Return the id of a turn's tool call."""
    return f"toolu_demo_{index:02d}"
