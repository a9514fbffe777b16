/* Copying ids, headers and bodies. Buttons tell the outcome, to screen readers too. */
import { all, element, one, press } from "./page.js";

const BUTTONS = "[data-copy], [data-copy-from], [data-copy-url], [data-copy-headers]";
const SHOWN_MS = 1200;

/* Browsers offer the clipboard on https and on this machine only; elsewhere a selection is copied. */
async function put(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", "sr");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

async function bodyAt(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(String(response.status));
  return response.text();
}

function headersBeside(button) {
  const lines = all("tr[data-header]", button.closest(".fold"));
  return lines.map((line) => `${one("th span", line).textContent}: ${one("td", line).textContent}\n`).join("");
}

async function textOf(button) {
  const { copy, copyFrom, copyUrl } = button.dataset;
  if (copyUrl) return bodyAt(copyUrl);
  if (button.hasAttribute("data-copy-headers")) return headersBeside(button);
  return copyFrom ? one(copyFrom).textContent : copy;
}

function tell(button, text) {
  const before = button.textContent;
  button.textContent = text;
  setTimeout(() => { button.textContent = before; }, SHOWN_MS);
  announce(text);
}

/* Say a text to screen readers. */
function announce(text) {
  let told = one("#told");
  if (!told) {
    told = element("p", "sr");
    told.id = "told";
    told.setAttribute("role", "status");
    document.body.append(told);
  }
  told.textContent = text;
}

async function copy(button) {
  if (button.dataset.busy) return;
  button.dataset.busy = "1";
  let done = false;
  try {
    done = await put(await textOf(button));
  } catch { /* told below */ }
  tell(button, done ? "copied" : "not copied");
  setTimeout(() => delete button.dataset.busy, SHOWN_MS);
}

/* The response as it is read: not the events that carried it. */
function shownText() {
  const parts = all("[data-tab=chat] .turn.final :is(.said, .md), [data-tab=response] .answer .piece");
  return parts.map((part) => part.innerText.trim()).filter(Boolean).join("\n\n");
}

/* The shown response, the shown body, the shown code, the chosen row's id, or this page's session or flow id. */
export async function copyNearest() {
  const text = shownText();
  if (text) {
    announce(await put(text) ? "The response was copied" : "not copied");
    return;
  }
  const nearest = ["[data-copy-url]", "[data-copy-from]", "tr.chosen [data-copy]", ".facts [data-copy]"];
  for (const selector of nearest) if (press(one(selector))) return;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(BUTTONS);
  if (!button) return;
  event.preventDefault();
  copy(button);
});
