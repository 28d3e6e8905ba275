// How a recording gets here: dropped, chosen, or the bundled one.

import { getRecording, openDemo, upload } from "./api.js";
import { byId, make, say, showError } from "./dom.js";

/** @param {import("./view.js").View} view */
export function connectOpening(view) {
  const files = byId("files-input");
  byId("choose").addEventListener("click", () => files.click());
  files.addEventListener("change", () => {
    if (files.files.length) open(view, () => send([...files.files]));
    files.value = "";
  });
  byId("demo").addEventListener("click", () => open(view, openDemo));
  byId("recording-select").addEventListener("change", (event) => show(view, event.target.value));
  connectDrop(view);
  const known = new URLSearchParams(location.search).get("recording");
  if (known) show(view, known);
}

/** Files may be dropped anywhere on the page. */
function connectDrop(view) {
  const zone = byId("drop");
  let depth = 0; // of elements below the pointer
  const mark = () => zone.classList.toggle("over", depth > 0);
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    mark();
  });
  document.addEventListener("dragleave", (event) => {
    if (!hasFiles(event)) return;
    depth -= 1;
    mark();
  });
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    mark();
    const dropped = [...event.dataTransfer.files];
    if (dropped.length) open(view, () => send(dropped));
  });
}

/** Sends files that are not too large: of those the server ends the connection without a word. */
async function send(files) {
  const megabytes = files.reduce((sum, file) => sum + file.size, 0) / 1e6;
  const most = Number(byId("drop").dataset.maxMb);
  if (megabytes > most) throw new Error(`${Math.ceil(megabytes)} MB: at most ${most} MB can be opened at once.`);
  return upload(files, { sampling_rate: byId("sampling-rate").value, unit: byId("unit").value });
}

/** Has a recording opened, and shows it. */
async function open(view, ask) {
  showError("");
  say("Reading ...");
  document.body.classList.add("reading");
  try {
    const { ids, problems } = await ask();
    await list(ids);
    await show(view, ids[0]);
    if (problems.length)
      showError(
        problems.map(({ file, message }) => (message.includes(file) ? message : `${file}: ${message}`)).join("\n"),
      );
  } catch (error) {
    say("");
    showError(error.message);
  } finally {
    document.body.classList.remove("reading");
  }
}

/** Lists the recordings of one upload, where there are several. */
async function list(ids) {
  byId("recording-choice").hidden = ids.length < 2;
  if (ids.length < 2) return;
  const summaries = await Promise.all(ids.map(getRecording));
  const options = summaries.map(({ id, name }, index) =>
    make("option", { value: id }, `${index + 1}. ${name || "recording"}`),
  );
  byId("recording-select").replaceChildren(...options);
}

async function show(view, id) {
  try {
    const summary = await getRecording(id);
    history.replaceState(null, "", `/?recording=${encodeURIComponent(id)}`);
    byId("ecg").hidden = false;
    document.body.classList.add("opened");
    view.take(summary);
    say(`${summary.name || "Recording"} is shown.`);
  } catch (error) {
    history.replaceState(null, "", "/");
    showError(error.message);
  }
}
