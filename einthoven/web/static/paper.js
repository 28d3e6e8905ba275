// The ECG on ECG paper: a canvas, drawn anew at each change.

import { placeStrips } from "./layout.js";
import { verdictSpans, VERDICTS } from "./quality.js";
import { offsetOf } from "./signals.js";
import { area, clipTo, curve, edgesOf, hatch, tint } from "./traces.js";

const MINOR_GRID_PX = 2.6; // below this a grid of 1 mm would be grey
const FONT = "system-ui, sans-serif";
const PULSE_S = 0.2;
const LEFT_MISSING = "left missing";

export class Paper {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import("./view.js").View} view
   * @param {import("./signals.js").Signals} signals
   */
  constructor(canvas, view, signals) {
    Object.assign(this, { canvas, view, signals });
    this.ctx = canvas.getContext("2d");
    /** @type {import("./layout.js").Sheet | null} */
    this.sheet = null;
    /** @type {import("./signals.js").Part | null} whose offsets are taken away from all curves */
    this.level = null;
    /** Drawn last, over the curves; the calipers set it. */
    this.drawOver = () => {};
    this.isAsked = false;
    const again = () => this.redraw();
    view.addEventListener("change", again);
    signals.addEventListener("loaded", again);
    new ResizeObserver(again).observe(canvas.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  }

  /** Draws before the next picture of the screen, once for however many changes. */
  redraw() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      if (this.view.recording) this.draw();
    });
  }

  /** Zoom at which ten seconds, or all there is of a shorter recording, fill the paper. */
  fittingZoom() {
    const width = this.canvas.parentElement.clientWidth;
    const perZoom = (96 / 25.4) * (9 + this.view.shown.speed * Math.min(10, this.view.duration));
    return Math.min(1.6, Math.max(0.75, (width - 2) / perZoom));
  }

  colour(name) {
    return this.colours.getPropertyValue(name).trim();
  }

  draw() {
    const { canvas, ctx, view } = this;
    const width = canvas.parentElement.clientWidth;
    if (!width) return;
    this.colours = getComputedStyle(canvas);
    this.sheet = placeStrips(view.leads, view.shown, width, view.duration);
    view.seconds = this.sheet.seconds;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(this.sheet.height * ratio);
    canvas.style.height = `${canvas.height / ratio}px`;
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.drawGrid(ratio);
    const parts = this.partsToDraw(Math.round(width * ratio));
    this.level = parts.before ?? parts.after;
    for (const strip of this.sheet.strips) this.drawMarks(strip);
    for (const strip of this.sheet.strips) this.drawCurves(strip, parts);
    for (const strip of this.sheet.strips) this.drawWords(strip);
    this.drawTimes();
    this.drawOver();
  }

  drawGrid(ratio) {
    const { ctx, sheet } = this;
    ctx.fillStyle = this.colour("--paper");
    ctx.fillRect(0, 0, sheet.width, sheet.height);
    const lines = (step, colour) => {
      ctx.beginPath();
      const sharp = (place) => (Math.round(place * ratio) + 0.5) / ratio;
      for (let x = sheet.left % step; x < sheet.width; x += step) {
        ctx.moveTo(sharp(x), 0);
        ctx.lineTo(sharp(x), sheet.height);
      }
      for (let y = 0; y < sheet.height; y += step) {
        ctx.moveTo(0, sharp(y));
        ctx.lineTo(sheet.width, sharp(y));
      }
      ctx.lineWidth = 1 / ratio;
      ctx.strokeStyle = this.colour(colour);
      ctx.stroke();
    };
    if (sheet.mm >= MINOR_GRID_PX) lines(sheet.mm, "--grid-minor");
    lines(5 * sheet.mm, "--grid-major");
  }

  /** What is to be drawn, as far as it is here. */
  partsToDraw(width) {
    const { signals, view } = this;
    const { show, mean, band, samples } = view.shown;
    const get = (version) => signals.get(version, width);
    const isAfter = show !== "before";
    const hasBand = isAfter && band && view.result.versions.includes("lower");
    return {
      before: show === "after" ? null : get("before"),
      after: isAfter ? get("after") : null,
      hasMean: mean,
      edges: hasBand ? [get("lower"), get("upper")] : [null, null],
      samples: isAfter && samples ? view.sampleNames.map(get) : [],
    };
  }

  place(strip) {
    return { ctx: this.ctx, sheet: this.sheet, strip, offset: this.level ? offsetOf(this.level, strip.lead) : 0 };
  }

  /** Verdicts on the recording as a light band behind its trace, and what was made instead of measured. */
  drawMarks(strip) {
    const { view, sheet } = this;
    const place = this.place(strip);
    const inset = sheet.mm * 0.5;
    const [top, bottom] = [strip.top + inset, strip.bottom - inset];
    if (view.shown.quality && view.shown.show !== "after") {
      for (const span of verdictSpans(view.recording, strip.lead)) {
        const { verdict } = span;
        const { colour, gap } = VERDICTS[verdict];
        const line = this.colour(`${colour}-line`);
        if (verdict === "good") {
          tint(place, span, line, bottom - 0.6 * sheet.mm, bottom);
        } else {
          if (view.shown.show === "before") tint(place, span, this.colour(`${colour}-tint`), top, bottom);
          hatch(place, span, line, gap, bottom - 2 * sheet.mm, bottom);
        }
      }
    }
    if (view.shown.show === "before") return;
    for (const span of view.spansOf(strip.lead)) {
      const isMissing = span.kind === LEFT_MISSING;
      tint(place, span, this.colour(isMissing ? "--lost-tint" : "--made-tint"), top, bottom);
      tint(place, span, this.colour(isMissing ? "--lost-line" : "--made"), top, top + 0.6 * sheet.mm);
      if (isMissing) hatch(place, span, this.colour("--lost-line"), 7, top, bottom);
    }
  }

  drawCurves(strip, parts) {
    const { ctx, view } = this;
    const place = this.place(strip);
    const draw = (part, colour, width) => {
      if (!part) return;
      ctx.strokeStyle = this.colour(colour);
      ctx.lineWidth = width;
      ctx.stroke(curve(place, part));
    };
    const within = (spans, isInside, work, reach = 1) => {
      ctx.save();
      clipTo(place, spans, isInside, reach);
      work();
      ctx.restore();
    };
    ctx.lineJoin = "round";
    const isBoth = view.shown.show === "both";
    within([], false, () => draw(parts.before, isBoth ? "--earlier" : "--measured", isBoth ? 1 : 1.2));
    if (!parts.after) return;
    const made = view.spansOf(strip.lead);
    const drawSpread = () => {
      if (parts.edges[0] && parts.edges[1]) {
        ctx.fillStyle = this.colour("--band");
        ctx.fill(area(place, ...parts.edges));
      }
      for (const sample of parts.samples) draw(sample, "--sample", 0.7);
    };
    within(made, true, drawSpread, 0);
    within(made, true, () => parts.hasMean && draw(parts.after, "--made", 1.5));
    within(made, false, () => draw(parts.after, "--measured", 1.2));
  }

  /** Names of the leads, what was made, and the calibration pulse. */
  drawWords(strip) {
    const { ctx, sheet, view } = this;
    const size = Math.max(11, Math.min(16, 3.4 * sheet.mm));
    ctx.textBaseline = "top";
    ctx.font = `600 ${size}px ${FONT}`;
    this.write(strip.lead, strip.left + 3, strip.top + 0.8 * sheet.mm + 2, "--measured");
    const nameEnd = strip.left + 3 + ctx.measureText(strip.lead).width;
    ctx.font = `${Math.max(10, size - 2.5)}px ${FONT}`;
    const spans = view.shown.show === "before" ? [] : view.spansOf(strip.lead);
    let free = nameEnd + 6;
    for (const span of spans) {
      const edges = edgesOf(this.place(strip), span);
      if (!edges) continue;
      const left = Math.max(edges[0] + 3, free);
      if (left + ctx.measureText(span.kind).width > strip.right) continue;
      this.write(span.kind, left, strip.top + 0.8 * sheet.mm + 3, span.kind === LEFT_MISSING ? "--measured" : "--made");
      free = left + ctx.measureText(span.kind).width + 8;
    }
    if (strip.isFirst) this.drawPulse(strip);
    else this.separate(strip);
  }

  /** Writes on a ground of paper, so that words stay readable over curves. */
  write(text, x, y, colour) {
    const { ctx } = this;
    ctx.lineWidth = 3;
    ctx.strokeStyle = this.colour("--paper");
    ctx.strokeText(text, x, y);
    ctx.fillStyle = this.colour(colour);
    ctx.fillText(text, x, y);
  }

  drawPulse(strip) {
    const { ctx, sheet } = this;
    const [width, height] = [PULSE_S * sheet.perS, sheet.perMv];
    const x = Math.max(1, strip.left - width - 2.5 * sheet.mm);
    const y = strip.middle;
    ctx.beginPath();
    ctx.moveTo(x - 1, y);
    for (const [dx, dy] of [
      [0, 0],
      [0, -height],
      [width, -height],
      [width, 0],
      [width + 1.5 * sheet.mm, 0],
    ]) {
      ctx.lineTo(x + dx, y + dy);
    }
    ctx.strokeStyle = this.colour("--measured");
    ctx.lineWidth = 1.2;
    ctx.stroke();
  }

  /** A short mark where one lead ends and the next begins. */
  separate(strip) {
    const { ctx, sheet } = this;
    ctx.fillStyle = this.colour("--measured");
    for (const mm of [-3, 2]) ctx.fillRect(strip.left - 0.5, strip.middle + mm * sheet.mm, 1, sheet.mm);
  }

  drawTimes() {
    const { ctx, sheet, view } = this;
    const bottom = Math.max(...sheet.strips.map((strip) => strip.bottom));
    const step = [1, 2, 5, 10, 30, 60, 300, 600].find((seconds) => seconds * sheet.perS > 44) ?? 3600;
    ctx.font = `11px ${FONT}`;
    ctx.textBaseline = "top";
    for (let t = Math.ceil(view.shown.start / step) * step; t <= view.shown.start + sheet.seconds; t += step) {
      const x = sheet.left + (t - view.shown.start) * sheet.perS;
      ctx.fillStyle = this.colour("--paper-words");
      ctx.fillRect(x - 0.5, bottom, 1, 4);
      if (x + 24 < sheet.width) ctx.fillText(`${t} s`, x + 3, bottom + 3);
    }
  }
}
