// Draw the query photo and its matches.

const find = (selector) => document.querySelector(selector);
const result = find("#result"), others = find("#others"), ring = find(".ring");

/** Show the start page. */
export function drawWelcome() {
  result.classList.remove("waiting");
  document.body.classList.remove("worded");
  showResult(false);
  document.title = "pokesim";
}

/** Fan out up to five pictures of the index like playing cards. */
export function drawFan(count) {
  const ids = new Set();
  while (ids.size < Math.min(5, count)) ids.add(Math.floor(Math.random() * count));
  find("#fan").replaceChildren(...[...ids].map((id, place) => {
    const item = document.createElement("li"), link = document.createElement("a");
    const image = document.createElement("img");
    item.style.setProperty("--place", place + (5 - ids.size) / 2);
    link.dataset.item = id;
    link.setAttribute("aria-label", `Search with picture ${place + 1} of ${ids.size}`);
    image.alt = "";
    image.draggable = false;
    image.src = `/thumbnails/${id}`;
    link.append(image);
    item.append(link);
    return item;
  }));
}

/** Set the links of the fan; `addressOf` returns the link to an item, which depends on the options. */
export function linkFan(addressOf) {
  for (const link of document.querySelectorAll("#fan a")) link.href = addressOf({ item: link.dataset.item });
}

/** Show the query photo at once, and that a search is running. */
export function drawQuery(name, image) {
  result.classList.add("waiting");
  showResult(true);
  drawPhoto(name, image);
  find(".match figcaption").textContent = "…";
  drawProgress(0.25);
  ring.setAttribute("aria-label", "Searching");
  ring.querySelector("text").textContent = "?";
}

/** Show the query photo alone. */
export function drawPhoto(name, image) {
  const isWord = image === null;
  document.body.classList.toggle("worded", isWord);
  find(".print.photo .word").textContent = isWord ? name : "";
  fillPrint(".photo", isWord ? "the word" : name, image);
  if (isWord) find(".backdrop").removeAttribute("src");
  else find(".backdrop").src = image;
}

/** Show a fraction, 0 to 1, on the ring. */
export function drawProgress(fraction) {
  ring.querySelector(".arc").style.setProperty("--percent", 100 * fraction);
}

/** Show an answer; `addressOf` returns the link to an item, given its id and hash. */
export function drawMatches({ verdict, matches, words }, addressOf) {
  const [best, ...rest] = matches;
  result.classList.remove("waiting");
  fillPrint(".match", best.label, best.image);
  find(".kicker").textContent = words ? `${verdict} “${words}”` : verdict;
  find("#best").textContent = best.label;
  find("#best").classList.toggle("long", best.label.length > 24);
  const similar = words ? "" : `${percent(best)} similar · `; // how near a word is, says little
  find("#figures").textContent = `${similar}distance ${best.distance.toFixed(3)}${near(best)}`;
  find("#facts").replaceChildren(...facts(best, Infinity));
  offerFile(find(".verdict"), best);
  offerSteering(find(".verdict"), best);
  ring.setAttribute("aria-label", `${percent(best)} similar`);
  ring.querySelector("text").textContent = best.similarity < 99.95 ? percent(best) : "100\u202f%"; // 100.0 would not fit
  drawProgress(best.similarity / 100);
  find("#more").hidden = !rest.length;
  others.replaceChildren(...rest.map((match, place) => card(match, place, addressOf)));
  document.title = `${best.label} – pokesim`;
}

function card(match, place, addressOf) {
  const one = find("#one").content.cloneNode(true).firstElementChild;
  const link = one.querySelector("a"), distance = document.createElement("span");
  const similarity = document.createElement("b");
  one.style.setProperty("--place", place);
  link.href = addressOf({ item: match.id, sha256: match.sha256 });
  link.title = match.path;
  one.querySelector("img").src = match.thumbnail;
  one.querySelector(".rank").textContent = match.rank;
  one.querySelector(".name b").textContent = match.label;
  one.querySelector(".bar").style.setProperty("--percent", match.similarity);
  similarity.textContent = percent(match);
  distance.textContent = `distance ${match.distance.toFixed(3)}${near(match)}`;
  one.querySelector(".numbers").append(similarity, distance);
  one.querySelector(".facts").append(...facts(match, 4));
  offerFile(one, match);
  offerSteering(one, match);
  return one;
}

/** Let the path of a match's file be copied, the file be opened, and the match be selected. */
function offerFile(place, match) {
  const path = place.querySelector(".path"), open = place.querySelector(".open");
  const pick = place.querySelector(".pick input");
  path.dataset.copy = path.title = path.querySelector("bdi").textContent = match.path;
  path.setAttribute("aria-label", `Copy the path ${match.path}`);
  open.href = match.image;
  open.title = "Open original";
  open.setAttribute("aria-label", `Open original of ${match.label} in a new tab`);
  pick.dataset.pick = `${match.id}:${match.sha256}`;
  pick.setAttribute("aria-label", `Select ${match.label}`);
}

/** Let a match be marked as one to be like, or unlike. */
function offerSteering(place, match) {
  for (const button of place.querySelectorAll("[data-steer]")) {
    button.dataset.sha256 = match.sha256;
    button.setAttribute("aria-label", `${button.dataset.steer === "with" ? "More" : "Less"} like ${match.label}`);
  }
}

/** Show the pictures that the photo is combined with; each can be removed. */
export function drawExamples(answer) {
  const marked = [...(answer.with ?? []).map((one) => ["+", one]), ...(answer.without ?? []).map((one) => ["−", one])];
  find("#examples").hidden = !marked.length;
  find("#examples").replaceChildren(...marked.map(([sign, { query, sha256, thumbnail }]) => {
    const [item, button, image, name, before, after] = ["li", "button", "img", "span", "b", "b"].map((tag) => document.createElement(tag));
    button.type = "button";
    button.className = "button small";
    button.dataset.steer = "";
    button.dataset.sha256 = sha256;
    button.setAttribute("aria-label", `Remove ${query}: ${sign === "+" ? "more" : "less"} like it`);
    image.alt = "";
    image.src = thumbnail;
    [before.textContent, name.textContent, after.textContent] = [sign, query, "×"];
    button.append(before, image, name, after);
    item.append(button);
    return item;
  }));
}

function facts(match, most) {
  const isNew = (cell) => cell !== "" && cell !== null && `${cell}`.toLowerCase() !== match.label.toLowerCase();
  const cells = Object.entries(match.metadata ?? {}).filter(([, cell]) => isNew(cell));
  return cells.slice(0, most).map(([name, cell]) => {
    const pair = document.createElement("div");
    for (const [tag, text] of [["dt", name], ["dd", cell]]) {
      const element = document.createElement(tag);
      element.textContent = text;
      pair.append(element);
    }
    return pair;
  });
}

function fillPrint(which, name, image) {
  const figure = result.querySelector(which), picture = figure.querySelector(".picture");
  figure.querySelector("figcaption").textContent = name;
  picture.alt = name;
  if (picture.getAttribute("src") === image) return;
  picture.className = "picture";
  if (image === null) return picture.removeAttribute("src");
  picture.onload = () => {
    const { naturalWidth: width, naturalHeight: height } = picture;
    picture.classList.add(width < height ? "tall" : "wide");
    picture.classList.toggle("square", width === height);
    figure.style.setProperty("--aspect", width / height);
  };
  picture.onerror = () => picture.removeAttribute("src"); // a format that this browser cannot show
  picture.src = image;
}

function showResult(isSearching) {
  result.hidden = others.hidden = !isSearching;
  find("#welcome").hidden = isSearching;
  if (!isSearching) find("#more").hidden = find("#examples").hidden = true;
}

const percent = (match) => `${match.similarity.toFixed(1)}\u202f%`;
const near = (match) => (match.near > 1 ? ` · ${match.near} nearby` : "");
