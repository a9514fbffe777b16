/* Times in the reader's own time zone; the server writes UTC. */
import { all } from "./page.js";

function shown(date, isFull) {
  const clock = date.toLocaleTimeString([], { hour12: false });
  const day = date.toLocaleDateString([], { month: "short", day: "numeric" });
  if (isFull) return `${day}, ${clock}`;
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? clock : `${day} ${clock.slice(0, 5)}`;
}

export function localTimes() {
  for (const time of all("time[datetime]:not([data-done])")) {
    const date = new Date(time.dateTime);
    if (isNaN(date)) continue;
    time.title = `${date.toLocaleString()} (local time)`;
    time.textContent = shown(date, time.hasAttribute("data-full"));
    time.setAttribute("data-done", "");
  }
}
