"use strict";
// Sorting and filtering of the table of systems. Without this script the page is complete, in its own order.
for (const table of document.querySelectorAll("table.systems")) {
  const body = table.tBodies[0], original = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const value = (row, i) => parseFloat(row.cells[i].dataset.value ?? "-Infinity");
  heads.forEach((head, i) => {
    const label = head.querySelector(".label"), button = document.createElement("button");
    button.type = "button";
    button.className = "label";
    button.textContent = label.textContent;
    label.replaceWith(button);
    button.addEventListener("click", () => {
      const order = i === 0 ? "none" : { descending: "ascending", ascending: "none" }[head.ariaSort] ?? "descending";
      const rows = [...original];
      if (order === "descending") rows.sort((a, b) => value(b, i) - value(a, i) || 0);
      if (order === "ascending") rows.sort((a, b) => value(a, i) - value(b, i) || 0);
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (order !== "none") head.ariaSort = order;
      table.classList.toggle("sorted", order !== "none");
      body.append(...rows);
    });
  });
}
const rows = [...document.querySelectorAll("table.systems tbody tr")];
const tables = document.querySelectorAll("table.systems").length;
if (rows.length > 8 * tables) {
  const filter = document.createElement("input");
  filter.type = "search";
  filter.className = "filter";
  filter.placeholder = "filter systems";
  filter.setAttribute("aria-label", "Show only systems whose name or kind contains");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !words.every((word) => row.cells[0].textContent.toLowerCase().includes(word));
  });
  const form = document.querySelector(".choose");
  if (form) form.append(filter);
  else document.querySelector("#results h2").after(filter);
  form?.addEventListener("submit", (event) => event.preventDefault());
}
