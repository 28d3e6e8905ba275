// Curves and marks of one strip of the paper.

/**
 * @typedef {import("./layout.js").Strip} Strip
 * @typedef {import("./layout.js").Sheet} Sheet
 * @typedef {import("./signals.js").Part} Part
 * @typedef {{ctx: CanvasRenderingContext2D, sheet: Sheet, strip: Strip, offset: number}} Place offset in microvolts
 */

const AHEAD = 2; // points beyond an edge, so that lines reach it

/** Indices of the points of a part that lie within a strip. */
function pointsWithin(part, strip, count) {
  const first = Math.floor((strip.start - part.start) / part.step) - AHEAD;
  const last = Math.ceil((strip.stop - part.start) / part.step) + AHEAD;
  return [Math.max(0, first), Math.min(count, last + 1)];
}

function scales({ sheet, strip, offset }, part) {
  const x0 = strip.left + (part.start - strip.start) * sheet.perS;
  return {
    x: (index) => x0 + index * part.step * sheet.perS,
    y: (value) => strip.middle - ((value - offset) / 1000) * sheet.perMv,
  };
}

/**
 * Path of a curve; of minima and maxima, a line up and down through each pixel.
 * @param {Place} place
 * @param {Part} part
 */
export function curve(place, part) {
  const path = new Path2D();
  const values = part.leads[place.strip.lead];
  if (!values) return path;
  const { x, y } = scales(place, part);
  const isSamples = part.kind === "samples";
  const low = isSamples ? values : values.min;
  const [first, stop] = pointsWithin(part, place.strip, low.length);
  let isOpen = false;
  for (let index = first; index < stop; index++) {
    if (low[index] === null) {
      isOpen = false;
      continue;
    }
    const at = x(index);
    if (isOpen) path.lineTo(at, y(low[index]));
    else path.moveTo(at, y(low[index]));
    if (!isSamples) path.lineTo(at, y(values.max[index]));
    isOpen = true;
  }
  return path;
}

/**
 * Area between two curves, from the lowest of the one to the highest of the other.
 * @param {Place} place
 * @param {Part} lower
 * @param {Part} upper
 */
export function area(place, lower, upper) {
  const path = new Path2D();
  const edges = [lower.leads[place.strip.lead], upper.leads[place.strip.lead]];
  if (!edges[0] || !edges[1] || lower.step !== upper.step || lower.start !== upper.start) return path;
  const { x, y } = scales(place, lower);
  const [low, high] = lower.kind === "samples" ? edges : [edges[0].min, edges[1].max];
  const [first, stop] = pointsWithin(lower, place.strip, low.length);
  let run = [];
  const close = () => {
    run.forEach((index, number) => path[number ? "lineTo" : "moveTo"](x(index), y(low[index])));
    run.reverse().forEach((index) => path.lineTo(x(index), y(high[index])));
    if (run.length) path.closePath();
    run = [];
  };
  for (let index = first; index < stop; index++) {
    if (low[index] === null || high[index] === null) close();
    else run.push(index);
  }
  close();
  return path;
}

/** Left and right edge of a span of time within a strip, or null where it lies outside. */
export function edgesOf({ sheet, strip }, span) {
  const left = strip.left + (Math.max(span.start, strip.start) - strip.start) * sheet.perS;
  const right = strip.left + (Math.min(span.end, strip.stop) - strip.start) * sheet.perS;
  return right > left ? [left, right] : null;
}

/**
 * Clips to some spans of a strip, or to what lies between them.
 * @param {Place} place
 * @param {{start: number, end: number}[]} spans
 * @param {number} reach rows above and below that curves may reach into, as on paper
 */
export function clipTo(place, spans, isInside, reach = 1) {
  const { ctx, strip } = place;
  const row = strip.bottom - strip.top;
  const [top, height] = [strip.top - reach * row, (1 + 2 * reach) * row];
  const region = new Path2D();
  if (!isInside) region.rect(strip.left, top, strip.right - strip.left, height);
  for (const span of spans) {
    const edges = edgesOf(place, span);
    if (edges) region.rect(edges[0], top, edges[1] - edges[0], height);
  }
  ctx.clip(region, "evenodd");
}

/** Fills a span with slanted lines `gap` pixels apart: a mark that needs no colour. */
export function hatch(place, span, colour, gap, top, bottom) {
  const edges = edgesOf(place, span);
  if (!edges) return;
  const { ctx } = place;
  const [left, right] = edges;
  const height = bottom - top;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, right - left, height);
  ctx.clip();
  ctx.beginPath();
  // Lines start at places of the whole paper, so that those of neighbouring spans meet.
  for (let x = Math.floor((left - height) / gap) * gap; x < right; x += gap) {
    ctx.moveTo(x, bottom);
    ctx.lineTo(x + height, top);
  }
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1;
  ctx.stroke();
  ctx.restore();
}

/** Fills a span of a strip from `top` to `bottom`. */
export function tint(place, span, colour, top, bottom) {
  const edges = edgesOf(place, span);
  if (!edges) return;
  place.ctx.fillStyle = colour;
  place.ctx.fillRect(edges[0], top, edges[1] - edges[0], bottom - top);
}
