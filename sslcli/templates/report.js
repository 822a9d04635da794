"use strict";
/* Headings of sortable tables become buttons; without this script they are headings, and everything else is there. */
const textOf = (cell) => cell.dataset.sort ?? cell.textContent.trim();

function compare(a, b) {
  const [x, y] = [Number(a), Number(b)];
  if (a !== "" && b !== "" && !Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  return a.localeCompare(b, "en", { numeric: true });
}

function sort(table, head, column) {
  const down = head.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((a, b) => compare(textOf(a.cells[column]), textOf(b.cells[column])));
  body.append(...(down ? rows.reverse() : rows));
}

for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(table, head, column));
  });
  const hint = document.createElement("span");
  hint.className = "hidden";
  hint.textContent = " (column headings with buttons sort the rows)";
  table.caption.append(hint);
}

/* A picture can be seen at its own size, which a phone cannot show in the page. */
const dialog = document.createElement("dialog");
const close = document.createElement("button");
close.type = "button";
close.textContent = "Close";
close.addEventListener("click", () => dialog.close());
document.body.append(dialog);
for (const figure of document.querySelectorAll("figure.picture")) {
  const image = figure.querySelector("img");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "enlarge";
  button.textContent = "Enlarge";
  button.setAttribute("aria-label", `Enlarge: ${figure.querySelector("strong").textContent}`);
  button.addEventListener("click", () => {
    const large = image.cloneNode();
    const paper = document.createElement("div");
    paper.className = "paper";
    paper.tabIndex = 0;
    paper.append(large);
    dialog.setAttribute("aria-label", figure.querySelector("strong").textContent);
    dialog.replaceChildren(close, paper);
    dialog.showModal();
  });
  figure.querySelector("figcaption").append(button);
}

/* On paper every table is unfolded; curves that the reader folded stay folded. */
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open]):has(table)")];
  opened.forEach((details) => { details.open = true; });
});
addEventListener("afterprint", () => opened.forEach((details) => { details.open = false; }));
