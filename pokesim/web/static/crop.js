// Choose a part of the photo: draw, move and resize a box on it. Numbers are percent of the photo.

const result = document.querySelector("#result"), area = result.querySelector("#area");
const part = area.querySelector("#part"), button = document.querySelector("#crop");
const FIRST = { x: 20, y: 20, width: 60, height: 60 };
const LEAST = 4, STEP = 2, PAUSE = 300; // percent, percent, milliseconds
let box = null; // null: the whole photo
let waiting = 0;

/** Let the part be chosen; call `onChange` with it, as a parameter of a search, or with null. */
export function offerCrop(onChange) {
  const changed = (next, pause = 0) => {
    place(next);
    clearTimeout(waiting);
    waiting = setTimeout(() => onChange(parameter()), pause);
  };
  const whole = () => { button.focus(); changed(null); };
  button.addEventListener("click", () => {
    if (box) return whole();
    changed(FIRST);
    return part.focus();
  });
  part.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return whole();
    const [right, down] = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key] ?? [];
    if (right === undefined) return undefined;
    event.preventDefault(); // the page would scroll
    return changed(event.shiftKey ? resized(right, down) : moved(box, right, down), PAUSE);
  });
  area.addEventListener("pointerdown", (event) => drag(event, changed));
}

/** Show the part that a search has as its parameter; null is the whole photo. */
export function showCrop(crop) {
  clearTimeout(waiting);
  const numbers = /^(?:[\d.]+%,?){4}$/.test(crop ?? "") && crop.split(",").map(parseFloat);
  place(numbers ? { x: numbers[0], y: numbers[1], width: numbers[2], height: numbers[3] } : null);
}

function parameter() {
  return box && [box.x, box.y, box.width, box.height].map((number) => `${+number.toFixed(2)}%`).join(",");
}

function place(next) {
  box = next;
  result.classList.toggle("cropped", Boolean(box));
  button.setAttribute("aria-pressed", Boolean(box));
  area.hidden = !box;
  if (!box) return;
  for (const [name, percent] of Object.entries({ left: box.x, top: box.y, width: box.width, height: box.height }))
    part.style[name] = `${percent}%`;
  const [x, y, width, height] = [box.x, box.y, box.width, box.height].map(Math.round);
  part.setAttribute("aria-label", `Part of the photo: ${width} % wide, ${height} % high, ${x} % from the left, ${y} % from the top`);
}

/** Follow the pointer: from a corner to resize, from inside to move, from outside to draw another. */
function drag(event, changed) {
  if (event.button || !event.isPrimary) return;
  event.preventDefault(); // it would select text, or drag the picture
  const before = box, start = pointOf(event), corner = event.target.dataset.corner;
  const isMoved = part.contains(event.target) && !corner;
  const fixed = corner ? { // the opposite corner
    x: corner.includes("left") ? box.x + box.width : box.x,
    y: corner.includes("top") ? box.y + box.height : box.y,
  } : start;
  const follow = (now) => {
    const point = pointOf(now);
    place(isMoved ? moved(before, point.x - start.x, point.y - start.y) : between(fixed, point));
  };
  const end = (now) => {
    area.removeEventListener("pointermove", follow);
    area.removeEventListener("pointerup", end);
    area.removeEventListener("pointercancel", end);
    const isClick = Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) < 4;
    if (isClick || now.type === "pointercancel") place(before);
    else changed(box);
    part.focus({ preventScroll: true });
  };
  area.setPointerCapture(event.pointerId);
  area.addEventListener("pointermove", follow);
  area.addEventListener("pointerup", end);
  area.addEventListener("pointercancel", end);
}

function pointOf({ clientX, clientY }) {
  const { left, top, width, height } = area.getBoundingClientRect();
  return { x: within(100 * (clientX - left) / width, 0, 100), y: within(100 * (clientY - top) / height, 0, 100) };
}

/** The box between two corners, on the side of the second one, and not too small. */
function between(fixed, point) {
  const [x, width] = span(fixed.x, point.x), [y, height] = span(fixed.y, point.y);
  return { x, y, width, height };
}

function span(from, to) {
  const length = Math.max(LEAST, Math.abs(to - from));
  return [within(to < from ? from - length : from, 0, 100 - length), length];
}

function moved({ x, y, width, height }, right, down) {
  return { x: within(x + right, 0, 100 - width), y: within(y + down, 0, 100 - height), width, height };
}

function resized(right, down) {
  const width = within(box.width + right, LEAST, 100 - box.x), height = within(box.height + down, LEAST, 100 - box.y);
  return { ...box, width, height };
}

const within = (number, least, most) => Math.min(Math.max(number, least), most);
