/* Groups of the list: their headings fold the rows below. */
import { all } from "./page.js";

function fold(button) {
  const isOpen = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!isOpen));
  for (const row of all("tr.flow", button.closest("tbody"))) row.hidden = isOpen;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act=fold]");
  if (button) fold(button);
});
