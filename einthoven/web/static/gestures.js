// Mouse, touch and keyboard on the paper.

import { GAINS, SHOWS, SPEEDS } from "./view.js";

const ZOOM_STEP = 1.25;

/**
 * @param {import("./paper.js").Paper} paper
 * @param {import("./calipers.js").Calipers} calipers
 */
export function listen(paper, calipers) {
  listenToPointers(paper, calipers);
  listenToWheel(paper);
  listenToKeys(paper, calipers);
}

function placeOf(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

/** Time below a place of the paper, as if one lead reached over all of it. */
const timeAt = (paper, x) => paper.view.shown.start + (x - paper.sheet.left) / paper.sheet.perS;

function listenToPointers(paper, calipers) {
  const { canvas, view } = paper;
  const fingers = new Map();
  let holds = "";
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return { distance: Math.max(20, Math.hypot(a.x - b.x, a.y - b.y)), x: (a.x + b.x) / 2 };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !paper.sheet) return;
    const place = placeOf(canvas, event);
    fingers.set(event.pointerId, place);
    canvas.setPointerCapture(event.pointerId);
    if (fingers.size === 2) holds = "pinch";
    else if (view.shown.tool === "calipers") holds = calipers.begin(place.x, place.y) ? "calipers" : "";
    else holds = "paper";
    canvas.classList.toggle("held", holds === "paper");
  });
  canvas.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const place = placeOf(canvas, event);
    const before = fingers.size === 2 ? spread() : null;
    fingers.set(event.pointerId, place);
    if (holds === "calipers") calipers.drag(place.x, place.y);
    else if (holds === "pinch" && before) {
      const after = spread();
      view.zoomBy(after.distance / before.distance, timeAt(paper, after.x));
    } else if (holds === "paper") view.set({ start: view.shown.start - (place.x - last.x) / paper.sheet.perS });
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      fingers.delete(event.pointerId);
      if (!fingers.size) holds = "";
      canvas.classList.remove("held");
    });
  }
  canvas.addEventListener("dblclick", () => view.shown.tool === "move" && view.set({ zoom: paper.fittingZoom() }));
}

function listenToWheel(paper) {
  const { canvas, view } = paper;
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (event.ctrlKey || event.metaKey) {
        view.zoomBy(Math.exp(-event.deltaY / 300), timeAt(paper, placeOf(canvas, event).x));
      } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        view.set({ start: view.shown.start + (event.deltaX || event.deltaY) / paper.sheet.perS });
      } else return; // the page scrolls
      event.preventDefault();
    },
    { passive: false },
  );
}

const next = (choices, current, by = 1) => choices[(choices.indexOf(current) + by + choices.length) % choices.length];

function listenToKeys(paper, calipers) {
  const { canvas, view } = paper;
  const move = (share) => view.set({ start: view.shown.start + share * view.seconds });
  const keys = {
    ArrowLeft: () => move(-0.1),
    ArrowRight: () => move(0.1),
    PageUp: () => move(-1),
    PageDown: () => move(1),
    Home: () => view.set({ start: 0 }),
    End: () => view.set({ start: view.duration }),
    "+": () => view.zoomBy(ZOOM_STEP),
    "=": () => view.zoomBy(ZOOM_STEP),
    "-": () => view.zoomBy(1 / ZOOM_STEP),
    0: () => view.set({ zoom: paper.fittingZoom() }),
    c: () => view.set({ tool: view.shown.tool === "calipers" ? "move" : "calipers" }),
    b: () => view.set({ show: next(SHOWS, view.shown.show) }),
    g: () => view.set({ gain: next(GAINS, view.shown.gain) }),
    s: () => view.set({ speed: next(SPEEDS, view.shown.speed) }),
    l: () => view.set({ lowPass: !view.shown.lowPass }),
    q: () => view.set({ quality: !view.shown.quality }),
    Escape: () => calipers.remove(),
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !paper.sheet) return;
    if (view.shown.tool === "calipers" && calipers.key(event)) event.preventDefault();
    else if (Object.hasOwn(keys, event.key)) {
      keys[event.key]();
      event.preventDefault();
    }
  });
}
