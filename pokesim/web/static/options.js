// What to show: how many, called by what, and the filter on the pictures' metadata.

const form = document.querySelector("#options");
const narrow = form.querySelector("#narrow"), filter = form.querySelector("#filter");
const column = form.querySelector("#column"), mark = form.querySelector("#mark");
const value = form.querySelector("#value"), values = form.querySelector("#values");
const COUNTS = [1, 3, 5, 10, 20, 50, 100];
const USUAL = { k: "5", label: "stem" };
const TEXT = [["=", "is"], ["!=", "is not"]];
const NUMBER = [["=", "="], ["!=", "≠"], [">=", "≥"], ["<=", "≤"], [">", ">"], ["<", "<"]];

/** Fill the form from what the index has; `onChange` is called when another answer is wanted. */
export function offerOptions(info, onChange) {
  fill(form.k, COUNTS.filter((count) => count <= info.k_max).map((count) => [count, count]));
  fill(form.elements.label, info.labels.map((name) => [name, name === "stem" ? "file name" : name]));
  form.elements.label.parentElement.hidden = info.labels.length < 2;
  offerGroup();
  form.k.addEventListener("change", onChange);
  form.elements.label.addEventListener("change", () => { offerGroup(); onChange(); });
  form.group.addEventListener("change", onChange);
  form.addEventListener("submit", (event) => { event.preventDefault(); onChange(); });
  narrow.hidden = !info.columns.length;
  if (info.columns.length) offerFilter(info.columns, onChange);
}

/** The options that differ from the usual ones, as the parameters of an address. */
export function chosen() {
  const parameters = new URLSearchParams();
  for (const [name, text] of new FormData(form))
    if (text.trim() && text !== USUAL[name]) parameters.set(name, name === "group" ? "true" : text.trim());
  return parameters;
}

/** Set the form as an address says; what it does not say is as usual. */
export function choose(parameters) {
  for (const name of ["k", "label"]) {
    form.elements[name].value = parameters.get(name) ?? USUAL[name];
    if (form.elements[name].selectedIndex < 0) form.elements[name].value = USUAL[name];
  }
  form.group.checked = parameters.get("group") === "true";
  offerGroup();
  form.where.value = parameters.get("where") ?? "";
  if (form.where.value) open(true);
}

/** Mark the filter as wrong, or right again. */
export function blameFilter(wrong) {
  form.where.setAttribute("aria-invalid", wrong);
  if (!wrong) return;
  form.where.focus({ preventScroll: true });
  form.where.scrollIntoView({ block: "center" }); // else the message may lie over it
}

export const hasFilter = () => form.where.value.trim() !== "";

// A file's name is there once anyhow.
function offerGroup() {
  const isNeeded = form.elements.label.value !== USUAL.label;
  form.group.parentElement.hidden = !isNeeded;
  if (!isNeeded) form.group.checked = false;
}

function offerFilter(columns, onChange) {
  const isNumber = () => columns[column.value].numbers;
  const offerValues = () => {
    fill(mark, isNumber() ? NUMBER : TEXT);
    value.value = "";
    value.inputMode = isNumber() ? "decimal" : "text";
    values.replaceChildren(...columns[column.value].values.map((text) => new Option("", text)));
  };
  fill(column, columns.map((one, place) => [place, one.name]));
  // Rather one that sorts the pictures than one that names each.
  column.selectedIndex = Math.max(0, columns.findIndex((one) => one.values.length < 30));
  column.addEventListener("change", offerValues);
  offerValues();
  const add = () => {
    const test = `${quoted(columns[column.value].name)} ${mark.value} ${quoted(value.value.trim())}`;
    const before = form.where.value.trim();
    form.where.value = !before ? test : / or /i.test(before) ? `(${before}) and ${test}` : `${before} and ${test}`;
    value.value = "";
    onChange();
  };
  form.querySelector("#add").addEventListener("click", add);
  value.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it would send the form without the value
    add();
  });
  form.querySelector("#everything").addEventListener("click", () => {
    form.where.value = "";
    onChange();
  });
  narrow.addEventListener("click", () => open(filter.hidden));
}

function open(wanted) {
  filter.hidden = !wanted;
  narrow.setAttribute("aria-expanded", wanted);
}

function fill(select, pairs) {
  select.replaceChildren(...pairs.map(([key, text]) => new Option(text, key)));
}

// The filter's own words, and what is not a plain word to it, stand in quotes.
function quoted(text) {
  const isPlain = /^[\p{L}\p{N}._+/:-]+$/u.test(text) && !/^(and|or|not|in)$/i.test(text);
  return isPlain ? text : `"${text.replaceAll('"', '""')}"`;
}
