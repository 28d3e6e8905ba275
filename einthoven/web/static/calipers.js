// Calipers: two points of one lead, and how far they lie apart in ms, in beats a minute and in mV.

import { byId } from "./dom.js";
import { stripAt } from "./layout.js";

const STEP_S = 0.01;
const STEP_MV = 0.05;
const LARGE = 10;
const HANDLE_PX = 9;

/** @typedef {{t: number, mv: number}} Point */

export class Calipers {
  /** @param {import("./paper.js").Paper} paper */
  constructor(paper) {
    this.paper = paper;
    this.view = paper.view;
    this.output = byId("caliper-values");
    /** @type {{lead: string, isRhythm: boolean, points: [Point, Point]} | null} */
    this.open = null;
    this.moved = 1;
    paper.drawOver = () => this.draw();
    this.view.addEventListener("recording", () => this.remove());
  }

  /** Where a point of the paper is: lead, time in s and mV above the lead's level; null beside the leads. */
  pointAt(x, y, strip = stripAt(this.paper.sheet, x, y)) {
    if (!strip) return null;
    const { perS, perMv } = this.paper.sheet;
    const inside = Math.min(strip.right, Math.max(strip.left, x));
    return { strip, point: { t: strip.start + (inside - strip.left) / perS, mv: (strip.middle - y) / perMv } };
  }

  /** Takes hold of an end that is close, or begins new calipers. */
  begin(x, y) {
    const found = this.pointAt(x, y);
    if (!found) return false;
    const near = this.strip() === found.strip ? this.open.points.findIndex((point) => this.isNear(point, x, y)) : -1;
    if (near >= 0) this.moved = near;
    else {
      const { lead, isRhythm } = found.strip;
      this.open = { lead, isRhythm, points: [{ ...found.point }, { ...found.point }] };
      this.moved = 1;
    }
    this.changed();
    return true;
  }

  /** Moves the end that is held. */
  drag(x, y) {
    const strip = this.strip();
    if (!strip) return;
    this.open.points[this.moved] = this.pointAt(x, y, strip).point;
    this.changed();
  }

  /** Puts calipers of a fifth of the window into the first lead, for the keyboard. */
  beginInMiddle() {
    const strip = this.paper.sheet.strips[0];
    const middle = (strip.start + strip.stop) / 2;
    const half = (strip.stop - strip.start) / 10;
    const points = [
      { t: middle - half, mv: 0 },
      { t: middle + half, mv: 0.5 },
    ];
    this.open = { lead: strip.lead, isRhythm: false, points };
    this.moved = 1;
    this.changed();
  }

  remove() {
    this.open = null;
    this.changed();
  }

  /** Keys while the paper has the focus; says whether the key was one of the calipers'. */
  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const step = steps[event.key];
    if (!step && event.key !== "Enter") return false;
    if (!this.open) {
      this.beginInMiddle();
      return true;
    }
    if (step) {
      const point = this.open.points[this.moved];
      const factor = event.shiftKey ? LARGE : 1;
      point.t = Math.min(this.view.duration, Math.max(0, point.t + step[0] * STEP_S * factor));
      point.mv += step[1] * STEP_MV * factor;
    } else this.moved = 1 - this.moved;
    this.changed();
    return true;
  }

  /** The strip of the paper that the calipers are in, or null. */
  strip() {
    if (!this.open) return null;
    const { lead, isRhythm } = this.open;
    const strips = this.paper.sheet.strips.filter((strip) => strip.lead === lead);
    return strips.find((strip) => strip.isRhythm === isRhythm) ?? strips[0] ?? null;
  }

  /** The distances: ms, beats a minute (null at no distance), mV from the first point to the second. */
  values() {
    const [first, second] = this.open.points.toSorted((a, b) => a.t - b.t);
    const ms = (second.t - first.t) * 1000;
    return { ms, rate: ms >= 1 ? 60000 / ms : null, mv: second.mv - first.mv };
  }

  words() {
    const { ms, rate, mv } = this.values();
    const perMinute = rate === null ? "" : `, ${rate.toFixed(0)}/min`;
    return `${ms.toFixed(0)} ms${perMinute}, ${mv < 0 ? "−" : "+"}${Math.abs(mv).toFixed(2)} mV`;
  }

  changed() {
    this.output.textContent = this.open ? `Calipers, lead ${this.open.lead}: ${this.words()}` : "";
    this.paper.redraw();
  }

  isNear(point, x, y) {
    const at = this.placeOf(point);
    return Math.abs(at.x - x) <= HANDLE_PX && Math.abs(at.y - y) <= 3 * HANDLE_PX;
  }

  placeOf(point) {
    const strip = this.strip();
    const { perS, perMv } = this.paper.sheet;
    return { x: strip.left + (point.t - strip.start) * perS, y: strip.middle - point.mv * perMv };
  }

  draw() {
    const strip = this.strip();
    if (!strip) return;
    const { ctx } = this.paper;
    const [a, b] = this.open.points.map((point) => this.placeOf(point));
    ctx.save();
    ctx.beginPath();
    ctx.rect(strip.left - 1, strip.top, strip.right - strip.left + 2, strip.bottom - strip.top);
    ctx.clip();
    ctx.fillStyle = this.paper.colour("--caliper-tint");
    ctx.fillRect(Math.min(a.x, b.x), strip.top, Math.abs(b.x - a.x), strip.bottom - strip.top);
    ctx.strokeStyle = this.paper.colour("--caliper");
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    for (const { x } of [a, b]) {
      ctx.moveTo(x, strip.top);
      ctx.lineTo(x, strip.bottom);
    }
    ctx.stroke();
    ctx.setLineDash([4, 3]);
    ctx.beginPath();
    for (const { y } of [a, b]) {
      ctx.moveTo(Math.min(a.x, b.x) - 12, y);
      ctx.lineTo(Math.max(a.x, b.x) + 12, y);
    }
    ctx.stroke();
    ctx.restore();
    this.drawWords(strip, (a.x + b.x) / 2);
  }

  drawWords(strip, middle) {
    const { ctx, sheet } = this.paper;
    const words = this.words();
    ctx.font = "600 12px system-ui, sans-serif";
    const width = ctx.measureText(words).width + 12;
    const x = Math.min(sheet.width - width - 2, Math.max(2, middle - width / 2));
    const y = strip.bottom - 20;
    ctx.fillStyle = this.paper.colour("--caliper");
    ctx.beginPath();
    ctx.roundRect(x, y, width, 18, 4);
    ctx.fill();
    ctx.fillStyle = this.paper.colour("--paper");
    ctx.textBaseline = "middle";
    ctx.fillText(words, x + 6, y + 9.5);
  }
}
