/* The editor of a request that is sent again: checks JSON, sends with Ctrl+Enter, and only once. */
import { one } from "./page.js";

const MAX_CHECKED_CHARS = 2e6; // beyond it only the server checks

/* " in line 3, column 7" of a parser's message, or nothing where it names no position. */
function placeOf(text, error) {
  const found = /position (\d+)/.exec(error.message);
  if (!found) return "";
  const before = text.slice(0, Number(found[1])).split("\n");
  return ` in line ${before.length}, column ${before.at(-1).length + 1}`;
}

function problemIn(text) {
  if (text.length >= MAX_CHECKED_CHARS) return "";
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    return `not valid JSON${placeOf(text, error)}`;
  }
}

function check() {
  const body = one("#edit-body");
  const state = one("#json-state");
  if (!body || !state) return;
  const isJson = /^content-type:.*json/im.test(one("#edit-headers")?.value || "") && body.value.trim();
  const problem = isJson ? problemIn(body.value) : "";
  state.textContent = problem || (isJson ? "valid JSON" : "");
  state.classList.toggle("tone-bad", Boolean(problem));
  body.setAttribute("aria-invalid", String(Boolean(problem)));
}

const form = one("#resend");
if (form) {
  check();
  form.addEventListener("input", check);
  form.addEventListener("keydown", (event) => {
    const isSend = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (!isSend || one("#send").disabled) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    one("#send").setAttribute("aria-busy", "true");
  });
  // The browser's way back brings the page as it was left.
  window.addEventListener("pageshow", () => delete form.dataset.sent);
}
