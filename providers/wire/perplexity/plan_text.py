"""Reasoning of a search: descriptions of goals, and a line for each step."""

from __future__ import annotations

import re
from typing import Any, Final

from providers.wire.core.ir import JsonObject
from providers.wire.core.jsonio import loads
from providers.wire.perplexity.step_lines import QUESTIONS, StepLines, questions_of

_GOAL: Final = re.compile(r"/goals/(\d+)(?:/description)?")
_STEP: Final = re.compile(r"/steps/(\d+|-)")


class PlanText:
    """Reasoning so far. `questions` are those that end the search."""

    def __init__(self) -> None:
        self.questions: list[str] = []
        self._lines = StepLines()
        self._goals: dict[int, str] = {}
        self._open_goal: int | None = None
        self._has_text = False
        self._seen_steps: set[str] = set()
        self._has_plan = False

    def take(self, block: JsonObject) -> str:
        """Take a block with a plan, bare or as patches; return what is new."""
        out = ""
        plan = block.get("plan_block")
        if isinstance(plan, dict):
            self._has_plan = True
            out += self._goal_list(plan.get("goals")) + self._step_list(plan.get("steps"))
        diff = block.get("diff_block")
        if isinstance(diff, dict) and diff.get("field") == "plan_block":
            self._has_plan = True
            for patch in diff.get("patches") or []:
                if isinstance(patch, dict):
                    out += self._patch(patch.get("path"), patch.get("value"))
        return out

    def mirror(self, text: Any) -> str:
        """Take the event's own `text`, a list of steps as JSON; a plan has the same, and wins."""
        if self._has_plan or not isinstance(text, str) or not text.startswith("["):
            return ""
        try:
            return self._step_list(loads(text))
        except (ValueError, RecursionError):
            return ""

    def _patch(self, path: Any, value: Any) -> str:
        if not isinstance(path, str):
            return ""
        if path == "" and isinstance(value, dict):
            return self._goal_list(value.get("goals")) + self._step_list(value.get("steps"))
        if path == "/goals":
            return self._goal_list(value)
        if goal := _GOAL.fullmatch(path):
            return self._goal(int(goal[1]), value)
        if path == "/steps":
            return self._step_list(value)
        return self._step_list([value]) if _STEP.fullmatch(path) else ""

    def _goal_list(self, goals: Any) -> str:
        if not isinstance(goals, list):
            return ""
        return "".join([self._goal(number, goal) for number, goal in enumerate(goals)])

    def _goal(self, number: int, goal: Any) -> str:
        """Return what a goal's description has grown by, on a line of its own."""
        text = goal.get("description") if isinstance(goal, dict) else goal
        known = self._goals.get(number, "")
        if not isinstance(text, str) or not text.startswith(known) or text == known:
            return ""
        self._goals[number] = text
        new = text[len(known) :]
        if number != self._open_goal:
            new = self._line_end() + new
        self._open_goal, self._has_text = number, True
        return new

    def _step_list(self, steps: Any) -> str:
        if not isinstance(steps, list):
            return ""
        return "".join([self._step(step) for step in steps if isinstance(step, dict)])

    def _step(self, step: JsonObject) -> str:
        uuid = step.get("uuid")
        if not isinstance(uuid, str) or uuid in self._seen_steps:
            return ""
        if step.get("step_type") == QUESTIONS:
            self.questions = questions_of(step) or self.questions
            return ""
        line = self._lines.line(step)
        # A step that says nothing yet may come again with its content.
        if not line:
            return ""
        self._seen_steps.add(uuid)
        out = self._line_end() + line
        self._open_goal, self._has_text = None, True
        return out

    def _line_end(self) -> str:
        return "\n" if self._has_text else ""
