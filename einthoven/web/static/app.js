// Starts the page: makes its parts and connects them.

import { Calipers } from "./calipers.js";
import { connectControls } from "./controls.js";
import { byId, showError } from "./dom.js";
import { listen } from "./gestures.js";
import { Jobs } from "./jobs.js";
import { Measures } from "./measures.js";
import { connectOpening } from "./opening.js";
import { Overview } from "./overview.js";
import { connectPanels } from "./panels.js";
import { Paper } from "./paper.js";
import { Signals } from "./signals.js";
import { View } from "./view.js";

const NARROW_PX = 620; // below this a lead a row is the only layout with room for a beat

const view = new View();
const signals = new Signals(view);
// First of all listeners: the others draw what is loaded and laid out here.
view.addEventListener("recording", () => {
  signals.clear();
  signals.loadOverview().catch((error) => showError(error.message));
  const isNarrow = byId("paper").parentElement.clientWidth < NARROW_PX;
  view.shown.layout = isNarrow || view.recording.leads.length <= 3 ? "12x1" : "3x4+1";
  view.shown.zoom = paper.fittingZoom();
});
const paper = new Paper(byId("paper"), view, signals);
const jobs = new Jobs(view);
new Overview(byId("overview"), view, signals);
new Measures(view, jobs);
listen(paper, new Calipers(paper));
connectControls(view, paper);
connectPanels(view, jobs);
signals.addEventListener("failed", (event) => showError(event.detail));
connectOpening(view);
document.documentElement.dataset.ready = "true";
