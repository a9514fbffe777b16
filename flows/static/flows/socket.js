/* A websocket that comes back after it was closed. */
import { one } from "./page.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10000;

/* Show the connection's state beside the navigation. */
export function showState(text, name) {
  const badge = one("#live");
  if (!badge) return;
  badge.textContent = text;
  badge.className = `live ${name}`;
}

/* Connect while `isWanted()`; `path()` is asked anew for each connection. Returns a function that closes. */
export function connect(path, onMessage, isWanted) {
  let wait = FIRST_WAIT_MS;
  let socket = null;

  function open() {
    if (!isWanted()) return;
    socket = new WebSocket(location.origin.replace(/^http/, "ws") + path());
    socket.onopen = () => {
      wait = FIRST_WAIT_MS;
      showState("live", "on");
      onMessage({ type: "open" });
    };
    socket.onmessage = (event) => onMessage(JSON.parse(event.data));
    socket.onclose = () => {
      if (!isWanted()) return;
      showState("reconnecting", "off");
      setTimeout(open, wait);
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    };
  }

  open();
  return () => socket && socket.close();
}
