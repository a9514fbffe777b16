/* The button that switches between the system's theme, light and dark. */

const KEPT = "adminTheme";
const THEMES = ["auto", "light", "dark"];
const SIGNS = { auto: "◐", light: "☀", dark: "☾" };
const NAMES = { auto: "as the system", light: "light", dark: "dark" };
const root = document.documentElement;
const button = document.querySelector("[data-act=theme]");

const chosen = () => root.dataset.theme || "auto";

function show() {
  const label = `Theme: ${NAMES[chosen()]}`;
  button.textContent = SIGNS[chosen()];
  button.title = label;
  button.setAttribute("aria-label", label);
}

export function switchTheme() {
  const next = THEMES[(THEMES.indexOf(chosen()) + 1) % THEMES.length];
  if (next === "auto") delete root.dataset.theme;
  else root.dataset.theme = next;
  try {
    localStorage.setItem(KEPT, JSON.stringify(next));
  } catch { /* kept for this page alone */ }
  // The admin's theme holds the choice in Alpine's state.
  window.Alpine?.$data(root)?.switchTheme?.(next);
  show();
}

if (button) {
  button.hidden = false;
  button.addEventListener("click", switchTheme);
  show();
}
