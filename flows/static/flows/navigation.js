/* Moving about: the chosen row, the way back to the list as it was, clicks on rows. */
import { asUtc, localFields, localTimes, nameZone } from "./local_time.js";
import { all, chosenRow, one, onEveryPage, pageFlow, press } from "./page.js";
import { closePeek, followChoice } from "./peek.js";

const KEPT = "ccproxy-list";
const KEPT_ROW = "ccproxy-row"; // the flow that was chosen or open last
const KEPT_PARAMETERS = ["tab", "view", "side", "beside"]; // what the neighbours of a flow show too
const LIST = document.body.dataset.list;

function backAddress() {
  const kept = sessionStorage.getItem(KEPT);
  return kept && kept.startsWith(LIST) ? kept : LIST;
}

function rememberList() {
  if (location.pathname === LIST) sessionStorage.setItem(KEPT, location.pathname + location.search);
  for (const link of all("[data-act=back]")) link.href = backAddress();
}

/* The flow of this page stays the chosen row of the list, also after its rows were replaced. */
function rememberRow() {
  const flow = pageFlow();
  if (flow) sessionStorage.setItem(KEPT_ROW, flow);
  const row = document.getElementById(`f-${sessionStorage.getItem(KEPT_ROW)}`);
  if (!row || chosenRow()) return;
  row.classList.add("chosen");
  if (document.activeElement !== document.body) return;
  one(".open", row).focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

/* A narrow window scrolls the tabs: the one that is shown has to be seen. */
function showTab() {
  for (const tab of all(".tabs [aria-current]")) {
    const bar = tab.closest(".tabs");
    bar.scrollLeft = tab.offsetLeft - bar.offsetLeft - (bar.clientWidth - tab.offsetWidth) / 2;
  }
}

/* Older and newer open on the tab that is shown here. */
function keepTab() {
  const here = new URLSearchParams(location.search);
  for (const link of all("[data-act=older], [data-act=newer]")) {
    const address = new URL(link.href);
    for (const name of KEPT_PARAMETERS) {
      if (here.has(name)) address.searchParams.set(name, here.get(name));
      else address.searchParams.delete(name);
    }
    link.href = address.href;
  }
}

export const hasRows = () => one("tr.flow") !== null;
export const hasTabs = () => one(".tabs a") !== null;

/* Choose the row `step` below the chosen one; the first row when there is none. */
export function choose(step) {
  const rows = all("tr.flow:not([hidden])");
  if (!rows.length) return;
  const now = rows.findIndex((row) => row.classList.contains("chosen"));
  const wanted = now < 0 ? 0 : now + step;
  const next = rows[Math.max(0, Math.min(rows.length - 1, wanted))];
  if (now >= 0) rows[now].classList.remove("chosen");
  next.classList.add("chosen");
  sessionStorage.setItem(KEPT_ROW, next.id.slice(2));
  next.scrollIntoView({ block: "nearest" });
  one(".open", next).focus({ preventScroll: true });
  followChoice();
}

/* Open the tab `step` to the right of the shown one. */
export function turnTab(step) {
  const tabs = all(".tabs a");
  const now = tabs.findIndex((tab) => tab.hasAttribute("aria-current"));
  press(tabs[(now + step + tabs.length) % tabs.length]);
}

export const openChosen = () => press(one("tr.chosen .open"));
export const openTab = (number) => press(all(".tabs a")[number - 1]);

export function goBack() {
  const open = one(".more-filters[open]");
  if (open) open.open = false;
  else if (!closePeek()) press(one("[data-act=flow]")) || press(one("[data-act=back]"));
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
  for (const field of all("input[type=datetime-local]", event.detail.elt)) {
    if (parameters[field.name]) parameters[field.name] = asUtc(parameters[field.name]);
  }
});

onEveryPage(() => {
  showTab();
  localTimes();
  nameZone();
  localFields();
  rememberList();
  rememberRow();
  keepTab();
});
document.addEventListener("htmx:pushedIntoHistory", keepTab);
