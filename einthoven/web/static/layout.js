// Where each lead stands on the paper. Lengths are CSS pixels, times are seconds.

export const TWELVE = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];

/** Leads that stand below each other, and heights of a row in mm at 10 mm/mV. */
export const LAYOUTS = {
  "12x1": { perColumn: 12, rowMm: 17, rhythm: false },
  "6x2": { perColumn: 6, rowMm: 22, rhythm: false },
  "3x4+1": { perColumn: 3, rowMm: 27, rhythm: true },
};
const FEW_LEADS_MM = 38;
const BOTTOM_PX = 20; // for the times
const MIDDLE = 0.62; // level of a lead within its row: R waves need more room than S waves
const HIGH_GAIN = 1.35; // rows of 20 mm/mV are higher by this

/**
 * @typedef {{lead: string, start: number, stop: number, left: number, right: number, top: number, bottom: number,
 *   middle: number, isRhythm: boolean, isFirst: boolean}} Strip
 * @typedef {{strips: Strip[], width: number, height: number, left: number, mm: number, perS: number, perMv: number,
 *   seconds: number}} Sheet
 */

/** Columns of leads; those of the twelve keep their usual places, and columns that stay empty are left out. */
export function columnsOf(leads, perColumn) {
  const isKnown = leads.every((lead) => TWELVE.includes(lead));
  if (leads.length <= 3) return [leads];
  const columns = new Map();
  leads.forEach((lead, index) => {
    const column = Math.floor((isKnown ? TWELVE.indexOf(lead) : index) / perColumn);
    columns.set(column, [...(columns.get(column) ?? []), lead]);
  });
  const inOrder = (column) => (isKnown ? column.toSorted((a, b) => TWELVE.indexOf(a) - TWELVE.indexOf(b)) : column);
  return [...columns.keys()].sort((a, b) => a - b).map((key) => inOrder(columns.get(key)));
}

/**
 * Places the leads of a part of a recording on paper as wide as given.
 * @param {string[]} leads
 * @param {{layout: string, speed: number, gain: number, zoom: number, start: number}} view
 * @param {number} width
 * @param {number} duration of the recording
 * @returns {Sheet}
 */
export function placeStrips(leads, view, width, duration) {
  const mm = (96 / 25.4) * view.zoom;
  const perS = mm * view.speed;
  const perMv = mm * view.gain;
  const left = 9 * mm;
  const seconds = Math.min(duration, (width - left) / perS);
  const { perColumn, rowMm, rhythm } = LAYOUTS[view.layout];
  const columns = columnsOf(leads, perColumn);
  const hasRhythm = rhythm && columns.length > 1;
  const nRows = Math.max(...columns.map((column) => column.length)) + (hasRhythm ? 1 : 0);
  const rowHeight = mm * (leads.length <= 3 ? FEW_LEADS_MM : rowMm) * (view.gain >= 20 ? HIGH_GAIN : 1);
  const strips = [];
  const place = (lead, row, start, stop, isRhythm) => {
    const top = row * rowHeight;
    const [from, to] = [left + (start - view.start) * perS, left + (stop - view.start) * perS];
    const isFirst = start === view.start;
    const edges = { left: from, right: to, top, bottom: top + rowHeight, middle: top + rowHeight * MIDDLE };
    strips.push({ lead, start, stop, ...edges, isRhythm, isFirst });
  };
  const piece = seconds / columns.length;
  columns.forEach((column, number) => {
    const start = view.start + number * piece;
    column.forEach((lead, row) => place(lead, row, start, start + piece, false));
  });
  if (hasRhythm) {
    const lead = leads.includes("II") ? "II" : leads[0];
    place(lead, nRows - 1, view.start, view.start + seconds, true);
  }
  return { strips, width, height: nRows * rowHeight + BOTTOM_PX, left, mm, perS, perMv, seconds };
}

/** The strip below a point, or null. */
export function stripAt(sheet, x, y) {
  return sheet.strips.find((s) => x >= s.left && x < s.right && y >= s.top && y < s.bottom) ?? null;
}
