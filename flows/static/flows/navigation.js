/* Moving about: the chosen row, the way back to the list as it was, clicks on rows. */
import { localTimes } from "./local_time.js";
import { all, chosenRow, one, onEveryPage, press } from "./page.js";

const KEPT = "ccproxy-list";
const LIST = document.body.dataset.list;

function backAddress() {
  const kept = sessionStorage.getItem(KEPT);
  return kept && kept.startsWith(LIST) ? kept : LIST;
}

function rememberList() {
  if (location.pathname === LIST) sessionStorage.setItem(KEPT, location.pathname + location.search);
  for (const link of all("[data-act=back]")) link.href = backAddress();
}

/* Choose the row `step` below the chosen one; the first row when there is none. */
export function choose(step) {
  const rows = all("tr.flow");
  if (!rows.length) return;
  const now = rows.findIndex((row) => row.classList.contains("chosen"));
  const wanted = now < 0 ? 0 : now + step;
  const next = rows[Math.max(0, Math.min(rows.length - 1, wanted))];
  if (now >= 0) rows[now].classList.remove("chosen");
  next.classList.add("chosen");
  next.scrollIntoView({ block: "nearest" });
  one(".open", next).focus({ preventScroll: true });
}

export const openChosen = () => press(one("tr.chosen .open"));
export const openTab = (number) => press(all(".tabs a")[number - 1]);

export function goBack() {
  const open = one(".more-filters[open]");
  if (open) open.open = false;
  else press(one("[data-act=flow]")) || press(one("[data-act=back]"));
}

export function search() {
  const box = one("#q");
  if (box) {
    box.focus();
    box.select();
  } else location.href = backAddress();
}

export function resend() {
  const row = chosenRow();
  if (!press(one("[data-act=resend]")) && row?.dataset.resend) location.href = row.dataset.resend;
}

export const pin = () => press(one("[data-act=pin]", chosenRow() || one(".steps") || document.body));

/* A click anywhere in a row opens its flow, unless it marks text or meets a control. */
function openRow(event) {
  const row = event.target.closest("tr.flow");
  if (!row || event.target.closest("a, button") || String(getSelection())) return;
  const link = one(".open", row);
  if (event.ctrlKey || event.metaKey) window.open(link.href, "_blank", "noopener");
  else link.click();
}

document.addEventListener("click", (event) => {
  const open = one(".more-filters[open]");
  if (open && !open.contains(event.target)) open.open = false;
  openRow(event);
});

// Empty fields make no filters, and no long addresses.
document.addEventListener("htmx:configRequest", (event) => {
  const parameters = event.detail.parameters;
  for (const name of Object.keys(parameters)) if (parameters[name] === "") delete parameters[name];
});

onEveryPage(() => {
  localTimes();
  rememberList();
});
