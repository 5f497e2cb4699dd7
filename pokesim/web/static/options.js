// Options: the number of matches, their names, and the metadata filter.

const form = document.querySelector("#options");
const narrow = form.querySelector("#narrow"), filter = form.querySelector("#filter");
const column = form.querySelector("#column"), mark = form.querySelector("#mark");
const value = form.querySelector("#value"), values = form.querySelector("#values");
const COUNTS = [1, 3, 5, 10, 20, 50, 100];
const DEFAULTS = { k: "5", label: "auto" };
const TEXT = [["=", "is"], ["!=", "is not"]];
let applied = ""; // the filter in use; another may have been typed already
const NUMBER = [["=", "="], ["!=", "≠"], [">=", "≥"], ["<=", "≤"], [">", ">"], ["<", "<"]];

/** Fill in the form from the index's facts; call `onChange` whenever an option changes. */
export function offerOptions(info, onChange) {
  fill(form.k, COUNTS.filter((count) => count <= info.k_max).map((count) => [count, count]));
  fill(form.elements.label, info.labels.map((name) => [name, name === "auto" ? "file name" : name]));
  form.elements.label.parentElement.hidden = info.labels.length < 2;
  offerGroup();
  form.k.addEventListener("change", onChange);
  form.elements.label.addEventListener("change", () => { offerGroup(); onChange(); });
  form.group.addEventListener("change", onChange);
  form.exclude_self.addEventListener("change", onChange);
  form.addEventListener("submit", (event) => { event.preventDefault(); applyFilter(onChange); });
  narrow.hidden = !info.columns.length;
  if (info.columns.length) offerFilter(info.columns, onChange);
}

/** Return the options that differ from the defaults, as URL parameters. */
export function currentOptions() {
  const parameters = new URLSearchParams();
  for (const name of ["k", "label"])
    if (form.elements[name].value !== DEFAULTS[name]) parameters.set(name, form.elements[name].value);
  for (const name of ["group", "exclude_self"])
    if (form[name].checked) parameters.set(name, "true");
  if (applied) parameters.set("where", applied);
  return parameters;
}

/** Set the form from URL parameters; missing ones get their defaults. */
export function setOptions(parameters) {
  for (const name of ["k", "label"]) {
    form.elements[name].value = parameters.get(name) ?? DEFAULTS[name];
    if (form.elements[name].selectedIndex < 0) form.elements[name].value = DEFAULTS[name];
  }
  for (const name of ["group", "exclude_self"]) form[name].checked = parameters.get(name) === "true";
  offerGroup();
  applied = form.where.value = parameters.get("where") ?? "";
  if (applied) toggleFilter(true);
}

/** Mark the filter as invalid, or as valid again. */
export function markFilter(isInvalid) {
  form.where.setAttribute("aria-invalid", isInvalid);
  if (!isInvalid) return;
  form.where.focus({ preventScroll: true });
  form.where.scrollIntoView({ block: "center" }); // otherwise the message may cover it
}

/** Let the photo itself be left out, if the index has it. */
export function offerItself(isIndexed) {
  form.exclude_self.parentElement.hidden = !isIndexed;
}

export const hasFilter = () => applied !== "";

function applyFilter(onChange) {
  applied = form.where.value.trim();
  onChange();
}

// Grouping by file name is of no use: file names hardly ever repeat.
function offerGroup() {
  const isNeeded = form.elements.label.value !== DEFAULTS.label;
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
  // Prefer a column with few values, such as a category, to one with a value per picture.
  column.selectedIndex = Math.max(0, columns.findIndex((one) => one.values.length < 30));
  column.addEventListener("change", offerValues);
  offerValues();
  const add = () => {
    const test = `${quoted(columns[column.value].name)} ${mark.value} ${quoted(value.value.trim())}`;
    const before = form.where.value.trim();
    form.where.value = !before ? test : /\bor\b/i.test(before) ? `(${before}) and ${test}` : `${before} and ${test}`;
    value.value = "";
    applyFilter(onChange);
  };
  form.querySelector("#add").addEventListener("click", add);
  value.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // it would submit the form without the value
    add();
  });
  form.querySelector("#clear").addEventListener("click", () => {
    form.where.value = "";
    applyFilter(onChange);
  });
  narrow.addEventListener("click", () => toggleFilter(filter.hidden));
}

function toggleFilter(isOpen) {
  filter.hidden = !isOpen;
  narrow.setAttribute("aria-expanded", isOpen);
}

function fill(select, pairs) {
  select.replaceChildren(...pairs.map(([key, text]) => new Option(text, key)));
}

// Put keywords and text with special characters in quotes.
function quoted(text) {
  const isWord = /^[\p{L}\p{N}._+/:-]+$/u.test(text) && !/^(and|or|not|in)$/i.test(text);
  return isWord ? text : `"${text.replaceAll('"', '""')}"`;
}
