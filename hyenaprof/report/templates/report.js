"use strict";
// Sorting and filtering of the tables marked for it. Without this script the page is the same, unsorted.
for (const table of document.querySelectorAll("table[data-interactive]")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const names = heads.map((head) => head.textContent);
  const valueAt = (row, column) => row.cells[column].dataset.s;
  const textAt = (row, column) => row.cells[column].textContent;

  const compare = (column, sign) => (one, other) => {
    const [a, b] = [valueAt(one, column), valueAt(other, column)];
    if (a !== undefined && b !== undefined) return sign * (Number(a) - Number(b));
    if (a !== undefined || b !== undefined) return a === undefined ? 1 : -1; // what is not known comes last
    return sign * textAt(one, column).localeCompare(textAt(other, column));
  };

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = names[column];
    button.addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      body.append(...rows.sort(compare(column, rising ? 1 : -1)));
    });
    head.replaceChildren(button);
  });

  const controls = document.createElement("div");
  controls.className = "controls";
  const search = document.createElement("input");
  search.type = "search";
  const chosen = new Map();
  const status = document.createElement("output");

  const labelled = (text, control) => {
    const label = document.createElement("label");
    label.append(text, control);
    controls.append(label);
  };

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = words.every((word) => text.includes(word));
      const kept = [...chosen].every(([column, select]) => !select.value || textAt(row, column) === select.value);
      row.hidden = !(fits && kept);
      shown += row.hidden ? 0 : 1;
    }
    status.textContent = `${shown} of ${rows.length} points`;
  };

  labelled("Search", search);
  search.addEventListener("input", filter);
  for (const name of JSON.parse(table.dataset.filters)) {
    const column = names.indexOf(name);
    const select = document.createElement("select");
    select.append(new Option("all", ""));
    for (const value of new Set(rows.map((row) => textAt(row, column)))) select.append(new Option(value, value));
    select.addEventListener("change", filter);
    chosen.set(column, select);
    labelled(name, select);
  }
  controls.append(status);
  table.parentElement.before(controls);
  filter();
}
