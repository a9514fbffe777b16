/* Jumping from change to change in a comparison. */
import { all, one, onEveryPage } from "./page.js";

const places = () => all(".change [data-change]");

/* The index `step` away from `now` in a ring of `count`; -1 stands before the first. */
function nextIndex(now, step, count) {
  if (now < 0) return step > 0 ? 0 : count - 1;
  return (now + step + count) % count;
}

export function jump(step) {
  const found = places();
  if (!found.length) return;
  const now = found.findIndex((place) => place.classList.contains("here"));
  const next = nextIndex(now, step, found.length);
  if (now >= 0) found[now].classList.remove("here");
  found[next].classList.add("here");
  found[next].scrollIntoView({ block: "center" });
  found[next].focus({ preventScroll: true });
  for (const label of all("[data-place]")) label.textContent = `${next + 1} of ${found.length}`;
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-act=next-change]")) jump(1);
  if (event.target.closest("[data-act=previous-change]")) jump(-1);
});

onEveryPage(() => {
  const count = places().length;
  for (const bar of all("[data-jumps]")) {
    bar.hidden = count < 2 && !one("[data-act=reordering]", bar);
    const label = one("[data-place]", bar);
    if (label && !label.textContent) label.textContent = count === 1 ? "1 change" : `${count} changes`;
  }
});
