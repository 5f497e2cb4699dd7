// The page: photo in, matches out. The URL holds the options and the item to search with, so that
// Back, reloading and copied links work as expected. A photo is only kept in memory.

import { Failure, send } from "./api.js";
import { offerCard } from "./card.js";
import { offerCopies } from "./copy.js";
import { offerCrop, showCrop } from "./crop.js";
import { currentOptions, hasFilter, markFilter, offerItself, offerOptions, setOptions } from "./options.js";
import { drawExamples, drawFan, drawMatches, drawPhoto, drawProgress, drawQuery, drawWelcome, linkFan } from "./draw.js";
import { takePhotos } from "./photo.js";
import { offerPicks, showPicks } from "./pick.js";

const find = (selector) => document.querySelector(selector);
const WEIGHTS = { with: "", without: "0.5:" }; // less is to keep what the photo has
const photos = new Map(); // history.state.photo → {file, url, image}
let info = null;
let running = new AbortController();
let shown = { query: null, answer: null, parameters: new URLSearchParams() }; // the current result and its options
let pending = null; // {query, enter} of the running search

takePhotos(accept, showMessage);
const started = start();

async function start() {
  try {
    info = (await send("GET", "/api/info")).body;
  } catch (failure) {
    return showMessage(failure.message, { "Try again": () => location.reload() });
  }
  const count = info.count.toLocaleString("en");
  find("#about").textContent = `${count} ${info.count === 1 ? "picture" : "pictures"} · ${info.embedder}, for ${info.about}`;
  find("#question").textContent = `Which of ${count} pictures looks most like yours?`;
  offerOptions(info, change);
  offerWords();
  offerCrop((crop) => search({ ...(pending?.query ?? shown.query), crop }, pending?.enter ?? "replaceState"));
  drawFan(info.count);
  addEventListener("popstate", arrive);
  addEventListener("click", follow);
  addEventListener("click", steer);
  offerCard(load, whileBusy, announce, showMessage);
  offerCopies(announce);
  offerPicks(info, announce, showMessage);
  find("#explain").addEventListener("click", explain);
  arrive();
}

/** Let a word be searched with, if the embedder knows any. */
function offerWords() {
  const form = find("#naming");
  form.hidden = !info.words;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const words = form.words.value.trim();
    if (words) search({ words }, "pushState");
  });
}

// Navigation

/** Show what the URL and the history entry say. */
function arrive() {
  const parameters = new URLSearchParams(location.search);
  const photo = photos.get(history.state?.photo);
  setOptions(parameters);
  linkFan(addressOf);
  search(photo ? { photo, ...partsOf(parameters) } : itemOf(parameters));
}

/** Return the word of a URL, or its item, whose hash shows whether the index has changed since. */
function itemOf(parameters) {
  const item = parameters.get("item"), words = parameters.get("words");
  if (words !== null) return { words };
  return item === null ? null : { item, sha256: parameters.get("sha256"), ...partsOf(parameters) };
}

/** Return which part of the picture is searched with, and the pictures it is combined with. */
function partsOf(parameters) {
  return { crop: parameters.get("crop"), with: parameters.getAll("with"), without: parameters.getAll("without") };
}

/** Add what `partsOf` returns to the parameters of a URL. */
function addParts(parameters, query) {
  if (query.crop) parameters.set("crop", query.crop);
  for (const name of ["with", "without"])
    for (const example of query[name] ?? []) parameters.append(name, example);
}

async function accept(file) {
  await started; // a photo may arrive before the index's facts are loaded
  if (!info) return;
  if (file.size > info.upload_max_bytes)
    return showMessage(`${file.name} is too large (${megabytes(file.size)}); the limit is ${megabytes(info.upload_max_bytes)}.`);
  const url = URL.createObjectURL(file), photo = { file, url, image: url };
  replaceImage(photo);
  return search({ photo }, "pushState");
}

/** Let the server make a picture of a photo whose format this browser does not show, such as HEIC. */
async function replaceImage(photo) {
  if (photo.file.type && !photo.file.type.startsWith("image/")) return; // no picture; the search says so
  const image = new Image();
  image.src = photo.url;
  try {
    await image.decode();
  } catch {
    const parameters = new URLSearchParams();
    const preview = await request("preview", { photo }, parameters, null).catch(() => null);
    if (!preview) return;
    photo.image = URL.createObjectURL(preview.body);
    const { query } = pending ?? shown;
    if (query?.photo === photo) drawPhoto(...pictureOf(query));
  }
}

/** Follow links to items and to the start page without reloading, but not those to files. */
function follow(event) {
  const link = event.target.closest?.("a");
  if (!link || link.target || link.hasAttribute("download") || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  search(itemOf(new URL(link.href).searchParams), "pushState");
}

/** Search for more or less like a match, or without a mark made before. */
function steer(event) {
  const button = event.target.closest?.("[data-steer]");
  if (!button) return;
  const { steer: name, sha256 } = button.dataset, query = { ...(pending?.query ?? shown.query) };
  for (const marks of ["with", "without"])
    query[marks] = (query[marks] ?? []).filter((mark) => !mark.endsWith(sha256));
  if (name) query[name].push(`${WEIGHTS[name]}${sha256}`);
  search(query, "pushState");
}

/** Search again with changed options. */
function change() {
  linkFan(addressOf);
  if (pending) search(pending.query, pending.enter);
  else if (shown.query) search(shown.query, "replaceState");
  else history.replaceState(history.state, "", addressOf());
}

function addressOf(query = {}) {
  const { item = null, sha256 = null, words } = query;
  const parameters = currentOptions();
  if (words) parameters.set("words", words);
  if (item !== null) parameters.set("item", item);
  if (sha256 !== null) parameters.set("sha256", sha256);
  addParts(parameters, query);
  return parameters.size ? `/?${parameters}` : "/";
}

// Searching

/** Search and show the result; `enter` names the history method to call with it. */
async function search(query, enter = null) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const { photo, item, words } = query ?? {};
  const parameters = currentOptions();
  pending = query && { query, enter };
  const isNew = photo !== shown.query?.photo || item !== shown.query?.item || words !== shown.query?.words;
  const isSteered = ["with", "without"].some((name) => `${query?.[name] ?? ""}` !== `${shown.query?.[name] ?? ""}`);
  showMessage("");
  closeExplanation();
  showCrop(query?.crop);
  if (isNew) scrollTo({ top: 0, behavior: "instant" });
  if (!query) {
    keep({ query, answer: null, parameters }, enter);
    showStart();
    if (isNew) find("h1").focus({ preventScroll: true });
    return;
  }
  if (isNew) drawQuery(...pictureOf(query));
  announce("Searching …");
  try {
    const { body } = await request("search", query, parameters, signal);
    if (!body.matches.length) {
      const nothing = hasFilter() ? "No picture passes the filter." : "The index has no other picture.";
      throw new Failure(nothing, { status: 400 });
    }
    markFilter(false);
    keep({ query: { ...query, name: body.query }, answer: body, parameters }, enter);
    draw();
    if (isNew || isSteered) find("#best").focus({ preventScroll: true }); // what was pressed is gone
  } catch (failure) {
    if (failure.name === "AbortError") return;
    fail(failure, () => search(query, enter));
    // With a new photo or word, that is the more likely cause.
    if (failure.status === 400 && hasFilter() && !((photo || words) && isNew)) markFilter(true);
  } finally {
    if (signal === running.signal) pending = null; // no newer search has started
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
  const { resembles, verdict, matches } = shown.answer;
  const [best] = matches;
  drawQuery(name, image);
  drawMatches(shown.answer, addressOf);
  drawExamples(shown.answer);
  showPicks(matches, shown.parameters);
  offerItself(shown.answer.indexed);
  const examples = (shown.answer.with?.length ?? 0) + (shown.answer.without?.length ?? 0);
  find("#explain").hidden = !info.explains || !resembles || examples > 0;
  if (shown.query.words) return announce(`${verdict} ${name}: ${best.label}. ${matches.length} matches.`);
  const mix = examples ? ` with ${examples} marked` : "";
  announce(`${shown.query.crop ? "Part of " : ""}${name}${mix}: ${verdict}${resembles ? "" : ":"} ${best.label}, ${best.similarity.toFixed(1)} percent similar. ${matches.length} matches.`);
}

function showStart() {
  drawWelcome();
  showPicks([], shown.parameters);
  offerItself(false);
}

/** Return the name of the query photo, item or word, and the URL of its picture; a word has none. */
function pictureOf({ photo, item, sha256, words, name = "…" }) {
  if (words) return [words, null];
  if (photo) return [photo.file.name, photo.image];
  return [name, `/images/${item}${sha256 ? `?sha256=${sha256}` : ""}`];
}

/** Send a request about the query; if the server is busy, wait as long as it asks for. */
async function request(what, query, options, signal, more = {}) {
  const { photo, item, sha256, words } = query;
  const parameters = new URLSearchParams([...options, ...Object.entries(more)]);
  const similar = what === "search" && !photo;
  if (words) parameters.set("words", words);
  else if (!photo && !similar) parameters.set("item", item);
  if (sha256) parameters.set("sha256", sha256);
  addParts(parameters, query);
  const asked = words ? "words" : `items/${item}/similar`;
  const url = `/api/${similar ? asked : what}?${parameters}`;
  const onUpload = what === "search" ? (fraction) => drawProgress(fraction < 1 ? fraction : 0.25) : null;
  for (;;)
    try {
      return await send(similar ? "GET" : "POST", url, { photo: photo?.file, signal, onUpload });
    } catch (failure) {
      if (!failure.retryAfter) throw failure;
      showMessage(`${failure.message} Trying again in ${failure.retryAfter} s.`);
      await new Promise((resolve) => setTimeout(resolve, 1000 * failure.retryAfter));
      signal?.throwIfAborted();
      showMessage("");
    }
}

/** Request a picture that shows the current result. */
const load = (what, more = {}) => request(what, shown.query, shown.parameters, running.signal, more);

function fail(failure, again) {
  if (shown.query) draw();
  else showStart();
  announce("");
  showMessage(failure.message, failure.status ? {} : { "Try again": again });
}

// The explanation

async function explain({ currentTarget: button }) {
  const figure = find("#explained");
  if (!figure.hidden) return closeExplanation();
  return whileBusy(button, async () => {
    const { query, answer: { matches: [best] } } = shown;
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const { body } = await load("explain", { match: best.id, match_sha256: best.sha256, dark });
    figure.querySelector("img").src = URL.createObjectURL(body);
    figure.querySelector("img").alt = `Heat maps of ${pictureOf(query)[0]} and ${best.label}`;
    figure.querySelector("figcaption").textContent = "The redder an area, the more it adds to the similarity.";
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

async function whileBusy(button, work) {
  if (button.getAttribute("aria-busy")) return; // pressed again
  button.setAttribute("aria-busy", true);
  try {
    await work();
  } catch (failure) {
    if (failure.name !== "AbortError") showMessage(failure.message); // aborted: its result is no longer shown
  } finally {
    button.removeAttribute("aria-busy");
  }
}

// Messages

/** Announce a text to screen readers only. */
function announce(text) {
  find("#status").textContent = text;
}

/** Show a message with buttons, each of which also closes it; an empty text closes it. */
function showMessage(text, buttons = {}) {
  const message = find("#message");
  if (!text) return message.replaceChildren();
  const paragraph = document.createElement("p");
  paragraph.textContent = text;
  const all = Object.entries({ ...buttons, Close: () => {} }).map(([name, press]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button small";
    button.textContent = name;
    button.addEventListener("click", () => { showMessage(""); press(); });
    return button;
  });
  return message.replaceChildren(paragraph, ...all);
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
