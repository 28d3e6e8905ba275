// What is shown and how: one object that all parts of the page read, and listen to.

export const SPEEDS = [25, 50];
export const GAINS = [5, 10, 20];
export const SHOWS = ["before", "after", "both"];
export const LOW_PASS_HZ = 40;
const ZOOMS = { least: 0.25, most: 6 };
const HUM_REMOVED = "mains hum removed"; // the one change that leaves a lead measured

/**
 * @typedef {object} Shown
 * @property {number} start first time on the paper in s
 * @property {number} zoom 1 is about the true size on a screen of 96 dots an inch
 * @property {number} speed in mm/s
 * @property {number} gain in mm/mV
 * @property {string} layout a key of LAYOUTS
 * @property {string} show "before", "after" or "both"
 * @property {boolean} mean
 * @property {boolean} band
 * @property {boolean} samples
 * @property {boolean} quality
 * @property {boolean} lowPass
 * @property {string} tool "move" or "calipers"
 */

export class View extends EventTarget {
  /** @type {any} the server's summary of the recording, or null */
  recording = null;
  /** @type {any} the result that is shown, one of the summary's, or null */
  result = null;
  /** Seconds that the paper holds; the paper sets it when it is drawn. */
  seconds = 10;
  /** @type {Shown} */
  shown = {
    start: 0,
    zoom: 1,
    speed: 25,
    gain: 10,
    layout: "3x4+1",
    show: "before",
    mean: true,
    band: true,
    samples: false,
    quality: true,
    lowPass: false,
    tool: "move",
  };

  /** Takes a summary. Events: "recording" for another recording, "news" for any; a new result is shown at once. */
  take(recording) {
    const isOther = this.recording?.id !== recording.id;
    const newest = recording.results.at(-1) ?? null;
    const isNew = newest && (isOther || !this.recording.results.some((result) => result.id === newest.id));
    this.recording = recording;
    if (isOther) Object.assign(this.shown, { start: 0, show: "before" });
    if (isOther || isNew) this.choose(newest, isNew);
    if (isOther) this.dispatchEvent(new Event("recording"));
    this.dispatchEvent(new Event("news"));
    this.dispatchEvent(new Event("change"));
  }

  /** Chooses the result that is shown. */
  choose(result, isShown = true) {
    this.result = result;
    if (result && isShown) this.shown.show = "after";
  }

  /** @param {Partial<Shown>} changes */
  set(changes) {
    Object.assign(this.shown, changes);
    this.shown.zoom = Math.min(ZOOMS.most, Math.max(ZOOMS.least, this.shown.zoom));
    if (!this.result) this.shown.show = "before";
    this.keepInside();
    this.dispatchEvent(new Event("change"));
  }

  /** Moves the window back where it reaches beyond an end of the recording. */
  keepInside() {
    this.shown.start = Math.max(0, Math.min(this.shown.start, this.duration - this.seconds));
  }

  /** Magnifies about a time, which stays where it is. */
  zoomBy(factor, about = this.shown.start) {
    const before = this.shown.zoom;
    const zoom = Math.min(ZOOMS.most, Math.max(ZOOMS.least, before * factor));
    this.seconds *= before / zoom;
    this.set({ zoom, start: about - ((about - this.shown.start) * before) / zoom });
  }

  get duration() {
    return this.recording?.duration ?? 0;
  }

  /** Leads on the paper: those of the result once it is shown, which may be more. */
  get leads() {
    return this.shown.show === "before" ? this.recording.leads : this.result.leads;
  }

  /** Names of the samples of the result, most often none. */
  get sampleNames() {
    return (this.result?.versions ?? []).filter((name) => name.startsWith("sample_"));
  }

  /**
   * Spans of a lead of the result that were not measured: `{start, end, kind, reason}`. Of very many the server lists
   * the earliest; what comes after them is not shown as measured either.
   */
  spansOf(lead) {
    const { stretches, n_stretches: count } = this.result ?? { stretches: [], n_stretches: 0 };
    const own = stretches.filter((span) => span.lead === lead && span.kind !== HUM_REMOVED);
    if (count <= stretches.length) return own;
    const { start } = stretches.at(-1);
    const listed = own.filter((span) => span.start < start);
    const known = listed.map((span) => ({ ...span, end: Math.min(span.end, start) }));
    return [...known, { start, end: this.duration, kind: "perhaps restored", reason: "" }];
  }
}
