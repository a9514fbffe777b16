/* Questions that every module asks the page. */

export const one = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];

/* The row that j and k have reached, and the flow whose page this is. */
export const chosenRow = () => one("tr.flow.chosen");
export const pageFlow = () => one("#live[data-flow]")?.dataset.flow;

/* Click a link or button; true when there is one. */
export function press(element) {
  if (!element) return false;
  element.click();
  return true;
}

/* An element with a class and a text. */
export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

/* Run now, after htmx has changed the page, and when the browser brings a page back. */
export function onEveryPage(action) {
  action();
  document.addEventListener("htmx:afterSwap", action);
  window.addEventListener("pageshow", action);
}
