// Parts of the signal, as the server sent them, and what is still to be asked for.

import { getSignal } from "./api.js";
import { LOW_PASS_HZ } from "./view.js";

const MOST_COLUMNS = 4000; // of one answer
const MOST_FILTERED_S = 120; // longer parts are not filtered
const KEPT_PARTS = 24;
const PAUSE_MS = 40; // between questions: of all windows in between only the last one is asked for
const OFFSET_UV = 500; // a lead whose middle is farther from zero is drawn without its offset

/**
 * One answer: values in microvolts, null where nothing is known.
 * @typedef {{start: number, duration: number, step: number, kind: string, leads: Record<string, any>}} Part
 */

export class Signals extends EventTarget {
  /** @param {import("./view.js").View} view */
  constructor(view) {
    super();
    this.view = view;
    this.clear();
  }

  clear() {
    /** @type {Map<string, Part>} */
    this.parts = new Map();
    this.asked = new Set();
    /** What is asked for next, by group: only the newest window of each. */
    this.wanted = new Map();
    this.overview = null;
  }

  /** Loads the whole recording at low resolution, for the overview strip. */
  async loadOverview() {
    const { recording } = this.view;
    const overview = await getSignal(recording.id, { version: "before", width: 1000 });
    if (this.view.recording?.id !== recording.id) return;
    this.overview = overview;
    this.dispatchEvent(new Event("loaded"));
  }

  /**
   * Returns the best part there is for the window on the paper, maybe null, and asks for a better one.
   * @param {string} version "before", "after", "lower", "upper" or "sample_..."
   * @param {number} width of the paper in pixels of the screen
   */
  get(version, width) {
    const { recording, result, shown, seconds } = this.view;
    const isShort = seconds <= MOST_FILTERED_S / 2;
    const lowPass = shown.lowPass && isShort && version !== "lower" && version !== "upper" ? LOW_PASS_HZ : 0;
    const group = [recording.id, version, version === "before" ? "" : result.id, lowPass].join("|");
    const window = { start: shown.start, duration: Math.min(seconds, recording.duration) };
    const parts = [...this.parts].filter(([key]) => key.startsWith(`${group}|`)).map(([, part]) => part);
    const shared = (part) => sharedSeconds(part, window);
    const [best] = parts.sort((a, b) => shared(b) - shared(a) || a.step - b.step);
    const isWhole = best && shared(best) >= window.duration - SLACK_S;
    if (!isWhole || !isFine(best, window, width)) this.want(group, version, window, width, lowPass);
    return best ?? null;
  }

  want(group, version, window, width, lowPass) {
    const { recording, result } = this.view;
    // Half a window more on either side, so that the paper can be moved while the next part comes.
    const start = Math.max(0, Math.floor(window.start - window.duration / 2));
    const duration = Math.min(recording.duration - start, Math.ceil(window.duration * 2));
    const count = duration * recording.sampling_rate;
    const columns = count <= 2 * MOST_COLUMNS ? count / 2 + 1 : (2 * width * duration) / window.duration;
    const part = { version, start, duration, width: Math.max(16, Math.min(MOST_COLUMNS, Math.ceil(columns))) };
    const key = [group, ...Object.values(part)].join("|");
    if (this.asked.has(key)) return;
    const which = version === "before" ? {} : { result: result.id };
    this.wanted.set(group, { key, id: recording.id, part: { ...part, ...which, low_pass: lowPass } });
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      for (const wish of this.wanted.values()) this.ask(wish);
      this.wanted.clear();
    }, PAUSE_MS);
  }

  async ask({ key, id, part }) {
    this.asked.add(key);
    try {
      this.parts.set(key, await getSignal(id, part));
      this.forget();
      this.dispatchEvent(new Event("loaded"));
    } catch (error) {
      this.dispatchEvent(new CustomEvent("failed", { detail: error.message }));
    }
  }

  forget() {
    for (const key of this.parts.keys()) {
      if (this.parts.size <= KEPT_PARTS) return;
      this.parts.delete(key);
      this.asked.delete(key);
    }
  }
}

/** @type {WeakMap<Part, Map<string, number>>} */
const offsets = new WeakMap();

/**
 * The offset of a lead in a part, in microvolts: 0 for one that lies about zero.
 * @param {Part} part
 */
export function offsetOf(part, lead) {
  if (!offsets.has(part)) offsets.set(part, new Map());
  const known = offsets.get(part);
  if (!known.has(lead) && part.leads[lead]) known.set(lead, findOffset(part, part.leads[lead]));
  return known.get(lead) ?? 0;
}

function findOffset(part, values) {
  const [low, high] = part.kind === "samples" ? [values, values] : [values.min, values.max];
  const [least, most] = [median(low), median(high)];
  const middle = (least + most) / 2;
  // The middle of a coarse column is not the level of the lead where an R wave lies in most columns.
  return (least > 0 || most < 0) && Math.abs(middle) > OFFSET_UV ? middle : 0;
}

function median(values) {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  return known[known.length >> 1] ?? 0;
}

const SLACK_S = 0.01; // the server begins and ends at samples

/** How much of a window a part holds, in s. */
function sharedSeconds(part, window) {
  const stop = Math.min(part.start + part.duration, window.start + window.duration);
  const shared = stop - Math.max(part.start, window.start);
  return shared >= window.duration - SLACK_S ? window.duration : Math.max(0, shared);
}

/** Whether the server would send no more points of this window if it were asked. */
function isFine(part, window, width) {
  const isEnough = part.step <= (1.05 * window.duration) / width;
  return part.kind === "samples" || isEnough || part.duration <= 2 * window.duration + 1;
}
