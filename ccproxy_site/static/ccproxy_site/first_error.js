/* A refused form of the admin opens at its first error: forms are longer than a screen. */
const isShown = (field) => field.offsetParent !== null;

function goToFirstError() {
  const field = [...document.querySelectorAll("form [aria-invalid=true]")].find(isShown);
  if (!field) return;
  field.focus({ preventScroll: true });
  // In the middle, because bars that stay in view cover the edges.
  field.scrollIntoView({ block: "center" });
}

// Alpine hides the fields of other choices once the page has loaded.
window.addEventListener("load", () => setTimeout(goToFirstError));
