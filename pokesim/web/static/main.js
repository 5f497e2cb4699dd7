// The page: photo in, matches out. The address holds the options and the item that is searched
// with, so that Back, a reload and a copied link do what one expects; a photo lives in memory.

import { Failure, ask } from "./ask.js";
import { blameFilter, choose, chosen, hasFilter, offerOptions } from "./options.js";
import { drawAnswer, drawFan, drawProgress, drawQuestion, drawWelcome } from "./draw.js";
import { takePhotos } from "./photo.js";

const find = (selector) => document.querySelector(selector);
const photos = new Map(); // history.state.photo → {file, url}
let info = null;
let running = new AbortController();
let shown = { query: null, matches: [], parameters: null }; // what was answered, and asked with
let asked = null; // {query, enter} of the search under way

takePhotos(takeIn, tell);
const started = start();

async function start() {
  try {
    info = (await ask("GET", "/api/info")).body;
  } catch (failure) {
    return tell(failure.message, { "Try again": () => location.reload() });
  }
  const count = info.count.toLocaleString("en");
  find("#about").textContent = `${count} ${info.count === 1 ? "picture" : "pictures"} · ${info.embedder}`;
  find("#question").textContent = `Which of ${count} pictures looks most like it?`;
  offerOptions(info, change);
  drawFan(info.count, addressOf);
  addEventListener("popstate", arrive);
  addEventListener("click", follow);
  find("#card").addEventListener("click", saveCard);
  find("#explain").addEventListener("click", explain);
  arrive();
}

// Where one is, and how one goes on

/** Show what the address and the history's entry say. */
function arrive() {
  const parameters = new URLSearchParams(location.search);
  const photo = photos.get(history.state?.photo);
  choose(parameters);
  search(photo ? { photo } : itemOf(parameters));
}

/** Return the item that an address is about; its hash tells should the index have changed. */
function itemOf(parameters) {
  const item = parameters.get("item");
  return item === null ? null : { item, sha256: parameters.get("sha256") };
}

async function takeIn(file) {
  await started; // a photo may come before the index is known
  if (!info) return;
  if (file.size > info.upload_max_bytes)
    return tell(`${file.name} has ${megabytes(file.size)}; up to ${megabytes(info.upload_max_bytes)} can be searched with.`);
  return search({ photo: { file, url: URL.createObjectURL(file) } }, "pushState");
}

/** Follow the links to items, and to the start, without loading the page again. */
function follow(event) {
  const link = event.target.closest?.("a");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  search(itemOf(new URL(link.href).searchParams), "pushState");
}

/** Ask again with other options. */
function change() {
  if (asked) search(asked.query, asked.enter);
  else if (shown.query) search(shown.query, "replaceState");
  else history.replaceState(history.state, "", addressOf());
}

function addressOf({ item = null, sha256 = null } = {}) {
  const parameters = chosen();
  if (item !== null) parameters.set("item", item);
  if (sha256 !== null) parameters.set("sha256", sha256);
  return parameters.size ? `/?${parameters}` : "/";
}

// Searching

/** Search and show; `enter` names how the history learns of it once there is an answer. */
async function search(query, enter = null) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const { photo, item } = query ?? {};
  const parameters = chosen();
  asked = query && { query, enter };
  const isNew = photo !== shown.query?.photo || item !== shown.query?.item;
  tell("");
  closeExplanation();
  if (isNew) scrollTo({ top: 0, behavior: "instant" });
  if (!query) {
    keep({ query, matches: [], parameters }, enter);
    drawWelcome();
    if (isNew) find("h1").focus({ preventScroll: true });
    return;
  }
  if (isNew) drawQuestion(...pictureOf(query));
  say("Searching …");
  try {
    const { body } = await patiently("search", query, parameters, signal);
    if (!body.matches.length) throw new Failure("No picture passes the filter.", { status: 400 });
    blameFilter(false);
    keep({ query: { ...query, name: body.query }, matches: body.matches, parameters }, enter);
    draw();
    if (isNew) find("#best").focus({ preventScroll: true });
  } catch (failure) {
    if (failure.name === "AbortError") return;
    fail(failure, () => search(query, enter));
    // Of a new photo, it is rather the photo that is wrong.
    if (failure.status === 400 && hasFilter() && !(photo && isNew)) blameFilter(true);
  } finally {
    if (signal === running.signal) asked = null; // no other search has begun
  }
}

function keep(what, enter) {
  shown = what;
  const photo = what.query?.photo;
  if (photo) photos.set(photo.url, photo);
  if (enter) history[enter]({ photo: photo?.url }, "", addressOf(what.query ?? {}));
}

function draw() {
  const [name, image] = pictureOf(shown.query);
  const best = shown.matches[0];
  drawQuestion(name, image);
  drawAnswer(shown.matches, addressOf);
  find("#explain").hidden = !info.explains;
  say(`${name} looks most like ${best.label}, ${best.similarity.toFixed(1)} percent similar. ${shown.matches.length} matches.`);
}

/** Return the name of what is searched with, and the address of its picture. */
function pictureOf({ photo, item, sha256, name = "…" }) {
  if (photo) return [photo.file.name, photo.url];
  return [name, `/images/${item}${sha256 ? `?sha256=${sha256}` : ""}`];
}

/** Ask about what is searched with; where the server is busy, wait as long as it says. */
async function patiently(what, { photo, item, sha256 }, options, signal, more = {}) {
  const parameters = new URLSearchParams([...options, ...Object.entries(more)]);
  const similar = what === "search" && !photo;
  if (!photo && !similar) parameters.set("item", item);
  if (sha256) parameters.set("sha256", sha256);
  const url = `/api/${similar ? `items/${item}/similar` : what}?${parameters}`;
  const onUpload = what === "search" ? (part) => drawProgress(part < 1 ? part : 0.25) : null;
  for (;;)
    try {
      return await ask(similar ? "GET" : "POST", url, { photo: photo?.file, signal, onUpload });
    } catch (failure) {
      if (!failure.retryAfter) throw failure;
      tell(`${failure.message} Trying again in ${failure.retryAfter} s.`);
      await new Promise((resolve) => setTimeout(resolve, 1000 * failure.retryAfter));
      signal?.throwIfAborted();
      tell("");
    }
}

function fail(failure, again) {
  if (shown.query) draw();
  else drawWelcome();
  say("");
  tell(failure.message, failure.status ? {} : { "Try again": again });
}

// The card and the explanation

async function saveCard({ currentTarget: button }) {
  await busily(button, async () => {
    const { body, name } = await patiently("card", shown.query, shown.parameters, running.signal);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(body);
    link.download = name || "pokesim.png";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    say("The card is saved.");
  });
}

async function explain({ currentTarget: button }) {
  const figure = find("#explained");
  if (!figure.hidden) return closeExplanation();
  return busily(button, async () => {
    const { query, matches: [best], parameters } = shown;
    const match = { match: best.id, match_sha256: best.sha256 };
    const { body } = await patiently("explain", query, parameters, running.signal, match);
    figure.querySelector("img").src = URL.createObjectURL(body);
    figure.querySelector("img").alt = `Heat maps over ${pictureOf(query)[0]} and ${best.label}`;
    figure.querySelector("figcaption").textContent = "Where they agree: the redder a place, the more it adds to the similarity.";
    figure.hidden = false;
    button.setAttribute("aria-expanded", true);
    figure.scrollIntoView({ block: "nearest" });
  });
}

function closeExplanation() {
  const figure = find("#explained"), image = figure.querySelector("img");
  if (image.src) URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
  figure.hidden = true;
  find("#explain").setAttribute("aria-expanded", false);
}

async function busily(button, work) {
  button.setAttribute("aria-busy", true);
  try {
    await work();
  } catch (failure) {
    if (failure.name !== "AbortError") tell(failure.message); // of what is shown no more
  } finally {
    button.removeAttribute("aria-busy");
  }
}

// Words

/** Say something to a screen reader only. */
function say(text) {
  find("#status").textContent = text;
}

/** Show a sentence, with buttons that take it away again; an empty one takes it away. */
function tell(text, buttons = {}) {
  const message = find("#message");
  if (!text) return message.replaceChildren();
  const sentence = document.createElement("p");
  sentence.textContent = text;
  const all = Object.entries({ ...buttons, Close: () => {} }).map(([name, press]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button small";
    button.textContent = name;
    button.addEventListener("click", () => { tell(""); press(); });
    return button;
  });
  return message.replaceChildren(sentence, ...all);
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
