/* Ctrl+K: go to any page of the navigation, or search the flows. */

const dialog = document.querySelector("#palette");
const box = document.querySelector("#palette-search");
const list = document.querySelector("#palette-options");
const navigation = document.querySelector("#pages");

/* The pages of the navigation: what this visitor may not open is not in it. */
function pages() {
  return [...navigation.querySelectorAll("a")].map((link) => {
    const section = link.closest(".menu")?.querySelector("summary").textContent ?? "";
    const words = `${section} ${link.textContent} ${link.dataset.words}`.toLowerCase();
    return { title: link.textContent, section, address: link.href, words };
  });
}

/* Titles that begin with the text stand first, then other matches in the navigation's order. */
function found(text) {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = pages().filter((page) => wanted.every((word) => page.words.includes(word)));
  const isFirst = (page) => Number(page.title.toLowerCase().startsWith(text.toLowerCase()));
  const options = fits.sort((one, other) => isFirst(other) - isFirst(one));
  if (text && navigation.dataset.search) {
    const address = `${navigation.dataset.search}?q=${encodeURIComponent(text)}`;
    options.push({ title: `Search flows for “${text}”`, section: "", address });
  }
  return options;
}

function option({ title, section, address }, index) {
  const item = document.createElement("li");
  item.id = `palette-option-${index}`;
  item.setAttribute("role", "option");
  item.dataset.address = address;
  item.append(title);
  if (section) {
    const where = document.createElement("span");
    where.className = "where";
    where.textContent = section;
    item.append(where);
  }
  return item;
}

function fill() {
  list.replaceChildren(...found(box.value.trim()).map(option));
  choose(0);
}

const chosen = () => list.querySelector("[aria-selected=true]");

function choose(index) {
  const items = [...list.children];
  chosen()?.setAttribute("aria-selected", "false");
  const item = items[(index + items.length) % items.length];
  if (!item) {
    box.removeAttribute("aria-activedescendant");
    return;
  }
  item.setAttribute("aria-selected", "true");
  item.scrollIntoView({ block: "nearest" });
  box.setAttribute("aria-activedescendant", item.id);
}

function go(item, inNewTab) {
  if (!item) return;
  if (inNewTab) window.open(item.dataset.address, "_blank", "noopener");
  else location.href = item.dataset.address;
  dialog.close();
}

export function openPalette() {
  if (!dialog || !navigation || dialog.open) return;
  box.value = "";
  dialog.showModal();
  fill();
  box.focus();
}

const STEPS = { ArrowDown: 1, ArrowUp: -1 };

function onKey(event) {
  if (event.key === "Enter") {
    event.preventDefault();
    go(chosen(), event.ctrlKey || event.metaKey);
  }
  if (!(event.key in STEPS)) return;
  event.preventDefault();
  choose([...list.children].indexOf(chosen()) + STEPS[event.key]);
}

if (dialog) {
  box.addEventListener("input", fill);
  box.addEventListener("keydown", onKey);
  list.addEventListener("click", (event) => go(event.target.closest("li"), event.ctrlKey || event.metaKey));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.querySelector("[data-act=palette]")?.addEventListener("click", openPalette);
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
    event.preventDefault();
    openPalette();
  });
}
