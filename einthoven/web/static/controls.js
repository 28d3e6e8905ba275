// The bar above the paper: each control shows a setting of the view, and changes it.

import { byId, inWords, make } from "./dom.js";
import { LAYOUTS } from "./layout.js";
import { GAINS, SHOWS, SPEEDS } from "./view.js";

const ZOOM_STEP = 1.25;
const LAYOUT_WORDS = { "12x1": "12×1", "6x2": "6×2", "3x4+1": "3×4 + rhythm" };
const SWITCHES = ["mean", "band", "samples", "quality", "lowPass"];

/**
 * @param {import("./view.js").View} view
 * @param {import("./paper.js").Paper} paper
 */
export function connectControls(view, paper) {
  const selects = {
    layout: fill(
      "layout",
      Object.keys(LAYOUTS).map((key) => [key, LAYOUT_WORDS[key]]),
    ),
    speed: fill(
      "speed",
      SPEEDS.map((speed) => [String(speed), `${speed} mm/s`]),
    ),
    gain: fill(
      "gain",
      GAINS.map((gain) => [String(gain), `${gain} mm/mV`]),
    ),
  };
  for (const [name, select] of Object.entries(selects)) {
    select.addEventListener("change", () =>
      view.set({ [name]: name === "layout" ? select.value : Number(select.value) }),
    );
  }
  for (const name of SWITCHES)
    byId(name).addEventListener("change", (event) => view.set({ [name]: event.target.checked }));
  for (const name of ["show", "tool"]) {
    for (const radio of document.getElementsByName(name)) {
      radio.addEventListener("change", () => view.set({ [name]: radio.value }));
    }
  }
  const buttons = {
    "zoom-in": () => view.zoomBy(ZOOM_STEP),
    "zoom-out": () => view.zoomBy(1 / ZOOM_STEP),
    "zoom-fit": () => view.set({ zoom: paper.fittingZoom() }),
    earlier: () => view.set({ start: view.shown.start - view.seconds }),
    later: () => view.set({ start: view.shown.start + view.seconds }),
  };
  for (const [id, work] of Object.entries(buttons)) byId(id).addEventListener("click", work);
  byId("result").addEventListener("change", (event) => {
    view.choose(view.recording.results.find((result) => result.id === event.target.value));
    view.set({});
  });
  view.addEventListener("change", () => {
    if (!view.recording) return;
    for (const [name, select] of Object.entries(selects)) select.value = String(view.shown[name]);
    showState(view, paper);
  });
  view.addEventListener("news", () => listResults(view));
}

/** Fills a select with choices, `[value, words]` each. */
function fill(id, choices) {
  const select = byId(id);
  select.replaceChildren(...choices.map(([value, words]) => make("option", { value }, words)));
  return select;
}

function showState(view, paper) {
  const { shown, result } = view;
  for (const name of SWITCHES) byId(name).checked = shown[name];
  for (const name of ["show", "tool"]) {
    for (const radio of document.getElementsByName(name)) radio.checked = radio.value === shown[name];
  }
  for (const show of SHOWS) byId(`show-${show}`).disabled = show !== "before" && !result;
  const isMade = shown.show !== "before";
  byId("mean").disabled = !isMade;
  byId("band").disabled = !isMade || !result.versions.includes("lower");
  byId("samples").disabled = !isMade || !view.sampleNames.length;
  byId("quality").disabled = shown.show === "after";
  byId("earlier").disabled = shown.start <= 0;
  byId("later").disabled = shown.start >= view.duration - view.seconds - 1e-6;
  paper.canvas.classList.toggle("measuring", shown.tool === "calipers");
  byId("caliper-help").hidden = shown.tool !== "calipers";
  byId("legend").dataset.show = shown.show;
  requestAnimationFrame(() => describe(view, paper));
}

/** Says in words what the paper shows: its label for screen readers, and the line below it. */
function describe(view, paper) {
  const { shown } = view;
  const stop = Math.min(view.duration, shown.start + view.seconds);
  const part = `${inWords(shown.start)} to ${inWords(stop)} of ${inWords(view.duration)}`;
  const made = { before: "as recorded", after: "after", both: "before and after" }[shown.show];
  const words = `${part}, ${shown.speed} mm/s, ${shown.gain} mm/mV${shown.lowPass ? ", low-pass 40 Hz" : ""}`;
  byId("part").textContent = words;
  paper.canvas.setAttribute("aria-label", `ECG ${made}, leads ${view.leads.join(", ")}, ${words}`);
}

export const KIND_WORDS = {
  repair: "repaired",
  reconstruct: "twelve leads",
  denoise: "denoised",
  correct: "electrodes put right",
};

/** Lists the results where there are several. */
function listResults(view) {
  const { results } = view.recording;
  byId("result-choice").hidden = results.length < 2;
  fill(
    "result",
    results.map(({ id, kind }, index) => [id, `${index + 1}. ${KIND_WORDS[kind] ?? kind}`]),
  );
  if (view.result) byId("result").value = view.result.id;
}
