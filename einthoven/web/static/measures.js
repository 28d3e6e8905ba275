// The table of measures: before, and after with intervals.

import { getMeasures } from "./api.js";
import { byId, make } from "./dom.js";

const DIGITS = { ms: 0, "1/min": 0, deg: 0, mV: 2 };
const UNITS = { deg: "°", "1/min": "/min" };
const NAMES = {
  heart_rate: "Heart rate",
  rr_sd: "RR, standard deviation",
  rmssd: "RMSSD",
  pr: "PR",
  qrs: "QRS",
  qt: "QT",
  qtc_fridericia: "QTc (Fridericia)",
  qtc_bazett: "QTc (Bazett)",
  p_axis: "P axis",
  qrs_axis: "QRS axis",
  p_amplitude: "P",
  r_amplitude: "R",
  s_amplitude: "S",
  t_amplitude: "T",
  st_j: "ST at J",
  st_j60: "ST at J + 60 ms",
};

/**
 * @typedef {{measure: string, lead: string, value: number | null, lower: number | null, upper: number | null,
 *   unit: string, reason: string}} Row
 */

export class Measures {
  /**
   * @param {import("./view.js").View} view
   * @param {import("./jobs.js").Jobs} jobs
   */
  constructor(view, jobs) {
    Object.assign(this, { view, jobs });
    view.addEventListener("recording", () => this.begin());
    view.addEventListener("news", () => this.load());
    byId("result").addEventListener("change", () => this.load());
    jobs.addEventListener("over", (event) => event.detail.kind === "measures" && this.load());
  }

  begin() {
    /** @type {Map<string, any>} answers of the server, by version */
    this.answers = new Map();
    this.waiting = new Set();
  }

  async load() {
    const { recording, result } = this.view;
    const wanted = [["before", {}]];
    if (result) wanted.push([result.id, { result: result.id }]);
    for (const [key, which] of wanted) {
      const known = this.answers.get(key);
      if (this.waiting.has(key) || known?.state === "done" || known?.state === "unavailable") continue;
      this.waiting.add(key);
      const version = key === "before" ? "before" : "after";
      const answer = await getMeasures(recording.id, { version, ...which }).catch((error) => ({
        state: "failed",
        error: error.message,
      }));
      if (this.view.recording.id !== recording.id) return;
      this.waiting.delete(key);
      this.answers.set(key, answer);
      if (answer.job) this.jobs.follow(answer.job);
    }
    this.show();
  }

  show() {
    const { result } = this.view;
    const before = this.answers.get("before") ?? { state: "none" };
    const after = result ? this.answers.get(result.id) : null;
    byId("measures-panel").hidden = before.state === "unavailable";
    const busy = [before, after].some((answer) => answer && ["queued", "running"].includes(answer.state));
    byId("measures-state").textContent = busy ? "Being measured ..." : (before.error ?? after?.error ?? "");
    const [rows, made] = [before.rows ?? [], after?.rows ?? []];
    const table = byId("measures");
    table.replaceChildren();
    if (!rows.length && !made.length) return;
    table.append(this.overLeads(rows, made, Boolean(after?.rows)), this.byLead(after?.rows ? made : rows));
  }

  /** @param {Row[]} before @param {Row[]} after */
  overLeads(before, after, hasAfter) {
    const names = [...new Set([...before, ...after].filter((row) => !row.lead).map((row) => row.measure))];
    const hasIntervals = after.some((row) => row.lower !== null);
    const find = (rows, name) => rows.find((row) => row.measure === name && !row.lead);
    const heads = [
      "Measure",
      "Before",
      ...(hasAfter ? [hasIntervals ? "After, with 90 % interval" : "After"] : []),
    ];
    const lines = names.map((name) => {
      const versions = hasAfter ? [before, after] : [before];
      const cells = versions.map((rows) => cellOf(find(rows, name)));
      return make("tr", {}, make("th", { scope: "row" }, nameOf(name)), ...cells);
    });
    return tableOf("Over all leads", heads, lines);
  }

  /** @param {Row[]} rows */
  byLead(rows) {
    const own = rows.filter((row) => row.lead);
    const leads = [...new Set(own.map((row) => row.lead))];
    const names = [...new Set(own.map((row) => row.measure))];
    const units = names.map((name) => own.find((row) => row.measure === name)?.unit ?? "");
    const heads = ["Lead", ...names.map((name, at) => nameOf(name) + (units[at] ? ` (${unitOf(units[at])})` : ""))];
    const lines = leads.map((lead) => {
      const cells = names.map((name) =>
        cellOf(
          own.find((row) => row.lead === lead && row.measure === name),
          false,
        ),
      );
      return make("tr", {}, make("th", { scope: "row" }, lead), ...cells);
    });
    const details = make("details", {}, make("summary", {}, "Lead by lead"), tableOf("Lead by lead", heads, lines));
    details.hidden = !own.length;
    return details;
  }
}

const nameOf = (measure) => NAMES[measure] ?? measure.replaceAll("_", " ");
const unitOf = (unit) => UNITS[unit] ?? unit;

function tableOf(caption, heads, lines) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const title = make("caption", { class: "hidden-words" }, caption);
  return make(
    "div",
    { class: "scrolls", tabindex: "0", role: "region", "aria-label": caption },
    make("table", {}, title, make("thead", {}, head), make("tbody", {}, ...lines)),
  );
}

/** @param {Row | undefined} row */
function cellOf(row, hasUnit = true) {
  if (!row) return make("td", {}, "–");
  if (row.value === null)
    return make("td", { class: "muted", title: row.reason }, hasUnit ? `not measurable: ${row.reason}` : "–");
  const digits = DIGITS[row.unit] ?? 2;
  const number = (value) => value.toFixed(digits).replace("-", "−");
  const hasInterval = row.lower !== null && row.upper !== null && row.lower !== row.upper;
  const interval = hasInterval
    ? make("span", { class: "muted" }, ` (${number(row.lower)} to ${number(row.upper)})`)
    : "";
  const value = number(row.value) + (hasUnit ? ` ${unitOf(row.unit)}` : "");
  return make("td", {}, make("span", { class: "value" }, value), interval);
}
