// What stands beside and below the paper: notes, quality of the leads, electrodes, changes, downloads.

import { deleteRecording, fileUrl, startJob } from "./api.js";
import { KIND_WORDS } from "./controls.js";
import { byId, inWords, make, showError } from "./dom.js";
import { TWELVE } from "./layout.js";
import { summaryOf, verdictSpans } from "./quality.js";

const MOST_ROWS = 200;
const PROBABLE = 0.01; // less probable electrodes are not listed

const isBusy = (state) => state === "queued" || state === "running";
const percent = (share) => `${Math.floor(100 * share + 1e-9)} %`;

/**
 * @param {import("./view.js").View} view
 * @param {import("./jobs.js").Jobs} jobs
 */
export function connectPanels(view, jobs) {
  const showAll = () => {
    showFacts(view.recording);
    showActions(view);
    showQuality(view.recording);
    showElectrodes(view.recording, jobs);
    showChanges(view);
    showDownloads(view);
  };
  view.addEventListener("news", showAll);
  byId("result").addEventListener("change", showAll);
  for (const name of ["layout", "speed", "gain"]) byId(name).addEventListener("change", () => showDownloads(view));
  byId("with-patient").addEventListener("change", () => showDownloads(view));
  byId("close").addEventListener("click", async () => {
    await deleteRecording(view.recording.id).catch(() => {});
    location.assign("/");
  });
}

function showFacts(recording) {
  const { name, leads, duration, sampling_rate: rate, format, age, sex, start_time: begin } = recording;
  byId("name").textContent = name || "Recording";
  const person = [age === null ? "" : `${Math.round(age)} years`, sex].filter(Boolean).join(", ");
  const count = `${leads.length} lead${leads.length === 1 ? "" : "s"}`;
  const when = begin ? begin.replace("T", " ").slice(0, 19) : "";
  byId("facts").textContent = [format, count, inWords(duration), `${rate} Hz`, person, when]
    .filter(Boolean)
    .join(" · ");
  const notes = recording.notes.map((note) => make("li", {}, note));
  if (recording.other_channels.length) notes.push(make("li", {}, `Not read: ${recording.other_channels.join(", ")}`));
  byId("notes").replaceChildren(...(notes.length ? notes : [make("li", { class: "muted" }, "Nothing to note.")]));
}

/** Which buttons make sense for this recording. */
function showActions({ recording }) {
  const lacks = TWELVE.some((lead) => !recording.leads.includes(lead));
  byId("complete-choice").hidden = !lacks;
  const options = [["", "all that is there"]];
  if (recording.leads.length > 1) {
    if (recording.leads.includes("I") && recording.leads.includes("II") && recording.leads.length > 2) {
      options.push(["I,II", "I and II only"]);
    }
    options.push(...recording.leads.filter((lead) => TWELVE.includes(lead)).map((lead) => [lead, `${lead} only`]));
  }
  const select = byId("from");
  const { value } = select;
  select.replaceChildren(...options.map(([key, words]) => make("option", { value: key }, words)));
  select.value = options.some(([key]) => key === value) ? value : "";
}

function showQuality(recording) {
  const { state, error, leads, hum, until } = recording.verdict;
  const isPart = state === "done" && until < recording.duration - 0.1;
  const extent = isPart ? `The first ${inWords(until)} were judged; a repair judges all.` : "";
  byId("quality-state").textContent = isBusy(state) ? "Being judged ..." : (error ?? extent);
  const rows = recording.leads
    .filter((lead) => leads?.[lead])
    .map((lead) => {
      const { good, seconds, score } = summaryOf(recording, lead);
      const found = [...seconds].map(([reason, time]) => `${reason} ${inWords(time)}`);
      if (hum?.[lead]) found.push(`hum of the mains ${hum[lead]}`);
      const dB = score === null ? "–" : score.toFixed(1);
      const cells = [
        make("td", { class: "time-line" }, timeLine(recording, lead)),
        make("td", {}, percent(good)),
        make("td", { class: "number" }, dB),
        make("td", {}, found.join(", ")),
      ];
      return make("tr", {}, make("th", { scope: "row" }, lead), ...cells);
    });
  byId("quality-table").hidden = !rows.length;
  byId("quality-rows").replaceChildren(...rows);
}

/** A lead's verdicts from begin to end of the recording, as a picture beside which the words stand. */
function timeLine(recording, lead) {
  const svg = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
    return element;
  };
  const view = { viewBox: `0 0 ${recording.duration} 10`, preserveAspectRatio: "none", "aria-hidden": true };
  const line = svg("svg", view);
  for (const { start, end, verdict } of verdictSpans(recording, lead)) {
    const [y, height] = verdict === "good" ? [4, 2] : [0, 10];
    line.append(svg("rect", { class: verdict, x: start, width: end - start, y, height }));
  }
  return line;
}

function showElectrodes(recording, jobs) {
  const { state, best, note, remark, probabilities, error } = recording.electrodes;
  byId("electrodes-panel").hidden = state === "unavailable";
  const box = byId("electrodes");
  if (isBusy(state)) return box.replaceChildren("Being checked ...");
  if (state !== "done") return box.replaceChildren(error ?? "Not checked.");
  const isRight = best === "as recorded";
  const items = Object.entries(probabilities)
    .filter(([, p]) => p >= PROBABLE)
    .sort((a, b) => b[1] - a[1])
    .slice(0, 4)
    .map(([name, p]) => make("li", {}, `${name}: ${p > 0.99 ? "over 99 %" : percent(p)}`));
  const right = remark ? "Nothing speaks against the electrodes." : "The electrodes look right.";
  const words = note || (isRight ? right : `This looks like ${best}.`);
  box.replaceChildren(
    make("p", { class: isRight ? "" : "notice sentence" }, words),
    ...(remark ? [make("p", { class: "muted sentence" }, remark)] : []),
    make("ul", { class: "plain" }, ...items),
  );
  if (isRight) return undefined;
  const button = make("button", { type: "button" }, `Show with ${best} put right`);
  button.addEventListener("click", async () => {
    try {
      jobs.follow(await startJob(recording.id, { kind: "correct" }));
    } catch (problem) {
      showError(problem.message);
    }
  });
  return box.append(button);
}

/** The list of what was done; a click shows the place. */
function showChanges(view) {
  const { result } = view;
  byId("changes-panel").hidden = !result;
  if (!result) return;
  byId("changes-title").textContent = `What was done: ${KIND_WORDS[result.kind] ?? result.kind}`;
  byId("result-notes").replaceChildren(...result.notes.map((note) => make("li", {}, note)));
  const rows = result.stretches.slice(0, MOST_ROWS).map((span) => {
    const link = make(
      "button",
      { type: "button", class: "link" },
      `${span.start.toFixed(2)} to ${span.end.toFixed(2)} s`,
    );
    // A lead a row: in columns the paper may show this lead at another time.
    link.addEventListener("click", () => view.set({ start: span.start - 1, layout: "12x1" }));
    const cells = [span.kind, span.reason ?? ""].map((text) => make("td", {}, text));
    return make("tr", {}, make("th", { scope: "row" }, span.lead), make("td", {}, link), ...cells);
  });
  byId("changes-table").hidden = !rows.length;
  byId("changes-rows").replaceChildren(...rows);
  const rest = result.n_stretches - rows.length;
  const none = result.kind === "repair" ? "Nothing had to be repaired." : "";
  byId("changes-more").textContent = rest > 0 ? `and ${rest} more: see the files` : rows.length ? "" : none;
}

const GROUPS = { report: "Report", sheet: "Picture", actions: "Changes" }; // of files by their name, others: recording
const FORMATS = { "hea.zip": "WFDB", dcm: "DICOM", npz: "NumPy", parquet: "Parquet" };

function showDownloads(view) {
  const { recording, result, shown } = view;
  const look = { start: shown.start.toFixed(3), speed: shown.speed, gain: shown.gain, layout: shown.layout };
  const patient = byId("with-patient").checked ? true : undefined;
  const linksTo = (files, which) => {
    const groups = new Map();
    for (const name of files) {
      const [stem, suffix] = [name.slice(0, name.indexOf(".")), name.slice(name.indexOf(".") + 1)];
      const group = GROUPS[stem] ?? "Recording";
      const query = { result: which, patient, ...(stem === "sheet" ? look : {}) };
      const words = FORMATS[suffix] ?? suffix.toUpperCase();
      const label = `${group} ${which === "none" ? "before" : "after"}, ${words}`;
      const link = make("a", { href: fileUrl(recording.id, name, query), download: name, "aria-label": label }, words);
      groups.set(group, [...(groups.get(group) ?? []), link]);
    }
    return [...groups].map(([group, links]) => make("li", {}, make("span", { class: "muted" }, group), ...links));
  };
  byId("files-result-group").hidden = !result;
  byId("files-result").replaceChildren(...(result ? linksTo(result.files, result.id) : []));
  byId("files").replaceChildren(...linksTo(recording.files, "none"));
}
