// The strip below the paper: the whole recording in one line, with a window that can be moved.

import { inWords } from "./dom.js";
import { verdictSpans, VERDICTS } from "./quality.js";

const HEIGHT = 56;
const MARK = 5; // height of the line of verdicts
const CLIP_SHARE = 0.02; // of the columns, at either end of the scale: single spikes do not flatten the rest

export class Overview {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./view.js").View} view
   * @param {import("./signals.js").Signals} signals
   */
  constructor(canvas, view, signals) {
    Object.assign(this, { canvas, view, signals });
    const again = () => requestAnimationFrame(() => this.draw());
    view.addEventListener("change", again);
    signals.addEventListener("loaded", again);
    new ResizeObserver(again).observe(canvas.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    this.listen();
  }

  get lead() {
    const { leads } = this.view.recording;
    return leads.includes("II") ? "II" : leads[0];
  }

  draw() {
    const { canvas, view, signals } = this;
    const isNeeded = Boolean(view.recording) && view.duration > 1.05 * view.seconds;
    canvas.hidden = !isNeeded;
    if (!isNeeded) return;
    const width = canvas.parentElement.clientWidth;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(HEIGHT * ratio);
    const ctx = canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.colours = getComputedStyle(canvas);
    ctx.fillStyle = this.colour("--paper");
    ctx.fillRect(0, 0, width, HEIGHT);
    const perS = width / view.duration;
    this.drawVerdicts(ctx, perS);
    if (signals.overview) this.drawCurve(ctx, perS);
    this.drawWindow(ctx, perS);
    this.tell();
  }

  colour(name) {
    return this.colours.getPropertyValue(name).trim();
  }

  /** The worst verdict on any lead, as a line at the bottom, and what was made at the top. */
  drawVerdicts(ctx, perS) {
    const { view } = this;
    for (const verdict of ["good", "noisy", "lost"]) {
      ctx.fillStyle = this.colour(`${VERDICTS[verdict].colour}-line`);
      const height = verdict === "lost" ? 2 * MARK : MARK;
      for (const lead of view.recording.leads) {
        for (const span of verdictSpans(view.recording, lead)) {
          if (span.verdict !== verdict) continue;
          ctx.fillRect(span.start * perS, HEIGHT - height, Math.max(1, (span.end - span.start) * perS), height);
        }
      }
    }
    if (!view.result) return;
    ctx.fillStyle = this.colour("--made");
    for (const lead of view.result.leads) {
      for (const span of view.spansOf(lead)) {
        ctx.fillRect(span.start * perS, 0, Math.max(1, (span.end - span.start) * perS), 3);
      }
    }
  }

  drawCurve(ctx, perS) {
    const { kind, step, start, leads } = this.signals.overview;
    const values = leads[this.lead];
    const [low, high] = kind === "samples" ? [values, values] : [values.min, values.max];
    const known = (list) => list.filter((value) => value !== null).sort((a, b) => a - b);
    const [lows, highs] = [known(low), known(high)];
    if (!lows.length) return;
    const least = lows[Math.floor(CLIP_SHARE * lows.length)];
    const most = highs[Math.ceil((1 - CLIP_SHARE) * highs.length) - 1];
    const [top, bottom] = [6, HEIGHT - 2 * MARK - 2];
    const y = (value) => {
      const share = (value - least) / Math.max(200, most - least);
      return Math.min(bottom + 2, Math.max(top - 2, bottom - share * (bottom - top)));
    };
    ctx.beginPath();
    let isOpen = false;
    low.forEach((value, index) => {
      const x = (start + index * step) * perS;
      if (value === null) isOpen = false;
      else {
        if (isOpen) ctx.lineTo(x, y(high[index]));
        else ctx.moveTo(x, y(high[index]));
        ctx.lineTo(x, y(value) + 0.5);
        isOpen = true;
      }
    });
    ctx.strokeStyle = this.colour("--measured");
    ctx.lineWidth = 0.8;
    ctx.stroke();
  }

  drawWindow(ctx, perS) {
    const { start } = this.view.shown;
    const width = Math.max(6, this.view.seconds * perS);
    ctx.fillStyle = this.colour("--window-tint");
    ctx.fillRect(start * perS, 0, width, HEIGHT);
    ctx.strokeStyle = this.colour("--window");
    ctx.lineWidth = 2;
    ctx.strokeRect(start * perS + 1, 1, width - 2, HEIGHT - 2);
  }

  /** Tells screen readers where the window is: the strip is a slider. */
  tell() {
    const { canvas, view } = this;
    const [start, stop] = [view.shown.start, view.shown.start + view.seconds];
    canvas.setAttribute("aria-valuemax", String(Math.round(Math.max(0, view.duration - view.seconds))));
    canvas.setAttribute("aria-valuenow", String(Math.round(start)));
    canvas.setAttribute("aria-valuetext", `${inWords(start)} to ${inWords(stop)} of ${inWords(view.duration)}`);
  }

  listen() {
    const { canvas, view } = this;
    const go = (event) => {
      const box = canvas.getBoundingClientRect();
      const middle = ((event.clientX - box.left) / box.width) * view.duration;
      view.set({ start: middle - view.seconds / 2 });
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      go(event);
    });
    canvas.addEventListener("pointermove", (event) => event.buttons && go(event));
    const shares = { ArrowLeft: -0.5, ArrowDown: -0.5, ArrowRight: 0.5, ArrowUp: 0.5, PageUp: -5, PageDown: 5 };
    canvas.addEventListener("keydown", (event) => {
      if (event.key in shares) view.set({ start: view.shown.start + shares[event.key] * view.seconds });
      else if (event.key === "Home") view.set({ start: 0 });
      else if (event.key === "End") view.set({ start: view.duration });
      else return;
      event.preventDefault();
    });
  }
}
