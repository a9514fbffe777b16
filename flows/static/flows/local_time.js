/* Times in the reader's own time zone; the server writes UTC. */
import { all, one } from "./page.js";

const MINUTE_MS = 60000;
const HAS_ZONE = /(Z|[+-]\d\d:?\d\d)$/i;
const zone = new Date().toLocaleTimeString([], { timeZoneName: "short" }).split(" ").pop();

function shown(date, isFull) {
  const clock = date.toLocaleTimeString([], { hour12: false });
  const day = date.toLocaleDateString([], { month: "short", day: "numeric" });
  if (isFull) return `${day}, ${clock} ${zone}`;
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? clock : `${day} ${clock.slice(0, 5)}`;
}

export function localTimes() {
  for (const time of all("time[datetime]:not([data-done])")) {
    const date = new Date(time.dateTime);
    if (isNaN(date)) continue;
    time.title = `${date.toLocaleString()} ${zone}`;
    time.textContent = shown(date, time.hasAttribute("data-full"));
    time.setAttribute("data-done", "");
  }
}

/* The list's times have no room for their zone: the heading names it. */
export function nameZone() {
  const heading = one("table.flows th.time span") || one("table.flows th.time");
  if (heading?.textContent.trim() === "Time") heading.textContent = `Time (${zone})`;
}

/* Fields for moments show and take local time, as the rows do; addresses keep UTC. */
export function localFields() {
  for (const field of all("input[type=datetime-local]:not([data-done])")) {
    field.setAttribute("data-done", "");
    const given = field.getAttribute("value") || "";
    const moment = new Date(HAS_ZONE.test(given) ? given : `${given}Z`);
    if (!isNaN(moment)) field.value = localMinute(moment);
    const label = field.closest("label")?.firstChild;
    if (label) label.textContent = label.textContent.replace("(UTC)", `(${zone})`);
  }
}

/* 18:07 in Vienna's winter is written 2026-11-29T18:07, as such a field wants it. */
function localMinute(moment) {
  const shifted = new Date(moment.getTime() - moment.getTimezoneOffset() * MINUTE_MS);
  return shifted.toISOString().slice(0, 16);
}

/* What a field holds, as a moment in UTC: 2026-11-29T18:07 → 2026-11-29T17:07:00.000Z. */
export function asUtc(text) {
  const moment = new Date(text);
  return isNaN(moment) || HAS_ZONE.test(text) ? text : moment.toISOString();
}
