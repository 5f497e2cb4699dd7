// Draw what is searched with, and what was found.

const find = (selector) => document.querySelector(selector);
const result = find("#result"), others = find("#others"), ring = find(".ring");

/** The page before the first photo, with a hand of the index's own pictures. */
export function drawWelcome() {
  result.classList.remove("waiting");
  show(false);
  document.title = "pokesim";
}

/** Lay five of the pictures out like a hand of cards. */
export function drawFan(count, addressOf) {
  const ids = new Set();
  while (ids.size < Math.min(5, count)) ids.add(Math.floor(Math.random() * count));
  find("#fan").replaceChildren(...[...ids].map((id, place) => {
    const item = document.createElement("li"), link = document.createElement("a");
    const image = document.createElement("img");
    item.style.setProperty("--place", place + (5 - ids.size) / 2);
    link.href = addressOf({ item: id });
    link.setAttribute("aria-label", `Search with picture ${place + 1} of ${ids.size}`);
    image.alt = "";
    image.draggable = false;
    image.src = `/thumbnails/${id}`;
    link.append(image);
    item.append(link);
    return item;
  }));
}

/** Show what is searched with at once, and that the search is under way. */
export function drawQuestion(name, image) {
  result.classList.add("waiting");
  show(true);
  print(".photo", name, image);
  find(".backdrop").src = image;
  find(".match figcaption").textContent = "…";
  drawProgress(0.25);
  ring.setAttribute("aria-label", "Searching");
  ring.querySelector("text").textContent = "?";
}

/** Show a part, 0 to 1, on the ring. */
export function drawProgress(part) {
  ring.querySelector(".part").style.setProperty("--part", 100 * part);
}

/** Show the matches; `addressOf` tells the link of an item, by its id and hash. */
export function drawAnswer(matches, addressOf) {
  const [best, ...rest] = matches;
  result.classList.remove("waiting");
  print(".match", best.label, best.image);
  find("#best").textContent = best.label;
  find("#best").classList.toggle("long", best.label.length > 24);
  find("#figures").textContent = `${percent(best)} similar · distance ${best.distance.toFixed(3)}${near(best)}`;
  find("#facts").replaceChildren(...facts(best, Infinity));
  ring.setAttribute("aria-label", `${percent(best)} similar`);
  ring.querySelector("text").textContent = best.similarity < 99.95 ? percent(best) : "100\u202f%"; // 100.0 is too wide
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
  one.querySelector(".bar").style.setProperty("--part", match.similarity);
  similarity.textContent = percent(match);
  distance.textContent = `distance ${match.distance.toFixed(3)}${near(match)}`;
  one.querySelector(".numbers").append(similarity, distance);
  one.querySelector(".facts").append(...facts(match, 4));
  return one;
}

function facts(match, most) {
  const isNews = (cell) => cell !== "" && cell !== null && `${cell}`.toLowerCase() !== match.label.toLowerCase();
  const cells = Object.entries(match.metadata ?? {}).filter(([, cell]) => isNews(cell));
  return cells.slice(0, most).map(([name, cell]) => {
    const pair = document.createElement("div");
    for (const [tag, text] of [["dt", name], ["dd", cell]]) {
      const part = document.createElement(tag);
      part.textContent = text;
      pair.append(part);
    }
    return pair;
  });
}

function print(which, name, image) {
  const figure = result.querySelector(which), picture = figure.querySelector(".picture");
  figure.querySelector("figcaption").textContent = name;
  picture.alt = name;
  if (picture.getAttribute("src") === image) return;
  picture.className = "picture";
  picture.onload = () => {
    const { naturalWidth: width, naturalHeight: height } = picture;
    picture.classList.add(width < height ? "tall" : "wide");
    picture.classList.toggle("square", width === height);
  };
  picture.onerror = () => picture.removeAttribute("src"); // of a kind that this browser cannot show
  picture.src = image;
}

function show(searching) {
  result.hidden = others.hidden = !searching;
  find("#welcome").hidden = searching;
  if (!searching) find("#more").hidden = true;
}

const percent = (match) => `${match.similarity.toFixed(1)}\u202f%`;
const near = (match) => (match.near > 1 ? ` · ${match.near} near` : "");
