/* Names for parts of the admin's own markup that screen readers find nameless. */
const all = (selector) => [...document.querySelectorAll(selector)];

function nameParts() {
  // The column of handles that sort rows by dragging.
  for (const heading of all("#result_list thead th")) {
    if (heading.textContent.trim() || heading.querySelector("input")) continue;
    const name = document.createElement("span");
    name.className = "cc-sr";
    name.textContent = "Order";
    heading.append(name);
  }
  // Boxes in a list are named by their column.
  for (const box of all("#result_list tbody input[type=checkbox]:not(.action-select, [aria-label])")) {
    const cell = box.closest("td");
    const column = cell && all("#result_list thead th")[[...cell.parentElement.children].indexOf(cell)];
    box.setAttribute("aria-label", column?.textContent.trim() || box.name);
  }
  for (const icon of all("span.help-tooltip[aria-label]")) icon.setAttribute("role", "img");
  for (const field of all(".vDateField, .vTimeField")) {
    const name = field.closest("[class*=field-]")?.querySelector("label, legend")?.textContent.trim();
    field.setAttribute("aria-label", `${name || field.name} ${field.placeholder.toLowerCase()}`.trim());
  }
}

nameParts();
// The boxes to choose permissions are made by a script of the admin, once the page has loaded.
window.addEventListener("load", () => setTimeout(nameParts));
