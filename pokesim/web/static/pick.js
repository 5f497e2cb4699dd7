// Select matches, and download their files as one zip.

const find = (selector) => document.querySelector(selector);
const bar = find("#picked"), zip = find("#zip"), all = find("#all");
const picked = new Set(); // of "id:sha256", as /api/zip takes them
let shown = { matches: [], parameters: new URLSearchParams() };

/** Let matches be selected; `announce` and `showMessage` tell people of it. */
export function offerPicks(info, announce, showMessage) {
  const changed = () => {
    draw();
    announce(`${picked.size} of ${shown.matches.length} selected.`);
  };
  addEventListener("change", ({ target }) => {
    if (!target.dataset.pick) return;
    if (target.checked) picked.add(target.dataset.pick);
    else picked.delete(target.dataset.pick);
    changed();
  });
  all.addEventListener("click", () => {
    for (const match of shown.matches) picked.add(keyOf(match));
    changed();
    zip.focus(); // the button is gone
  });
  find("#none").addEventListener("click", () => {
    picked.clear();
    changed();
    find("#best").focus({ preventScroll: true }); // the bar is gone
  });
  zip.addEventListener("click", (event) => {
    const bytes = size();
    if (bytes <= info.zip_max_bytes) return announce(`Downloading a zip of ${picked.size} pictures.`);
    event.preventDefault();
    return showMessage(`These pictures have ${sized(bytes)}, and a zip holds at most ${sized(info.zip_max_bytes)}; select fewer.`);
  });
}

/** Show which matches of an answer are selected; those that it does not have any more are not. */
export function showPicks(matches, parameters) {
  shown = { matches, parameters };
  const keys = new Set(matches.map(keyOf));
  for (const key of picked) if (!keys.has(key)) picked.delete(key);
  draw();
}

function draw() {
  for (const box of document.querySelectorAll("[data-pick]")) box.checked = picked.has(box.dataset.pick);
  bar.hidden = !picked.size;
  bar.querySelector("b").textContent = picked.size;
  bar.querySelector("p span").textContent = ` · ${sized(size())}`;
  all.hidden = picked.size === shown.matches.length;
  const parameters = new URLSearchParams(chosen().map((match) => ["picture", keyOf(match)]));
  if (shown.parameters.has("label")) parameters.set("label", shown.parameters.get("label"));
  zip.href = `/api/zip?${parameters}`;
}

const keyOf = (match) => `${match.id}:${match.sha256}`;
const chosen = () => shown.matches.filter((match) => picked.has(keyOf(match)));
const size = () => chosen().reduce((sum, match) => sum + match.bytes, 0);
const sized = (bytes) => bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
