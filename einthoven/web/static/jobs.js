// Work that the server does: buttons that start it, its progress, the time left, cancel.

import { cancelJob, getJob, getRecording, startJob } from "./api.js";
import { byId, inWords, make, say, showError } from "./dom.js";

const POLL_MS = 400;
const WORDS = {
  verdict: "Judging the leads",
  electrodes: "Checking the electrodes",
  measures: "Measuring",
  repair: "Repairing",
  reconstruct: "Rebuilding twelve leads",
  denoise: "Denoising",
  correct: "Putting the electrodes right",
};
const isOver = (job) => !["queued", "running"].includes(job.state);

export class Jobs extends EventTarget {
  /** @param {import("./view.js").View} view */
  constructor(view) {
    super();
    this.view = view;
    /** @type {Map<string, {job: any, row: HTMLElement}>} work that is not over */
    this.active = new Map();
    this.list = byId("jobs");
    view.addEventListener("recording", () => this.clear());
    view.addEventListener("news", () =>
      view.recording.jobs.filter((job) => !isOver(job)).forEach((job) => this.follow(job)),
    );
    for (const button of document.querySelectorAll("button[data-job]")) {
      button.addEventListener("click", () => this.start(button.dataset.job));
    }
  }

  clear() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.active.clear();
    this.list.replaceChildren();
  }

  async start(kind) {
    const wish = { kind };
    if (kind === "repair") wish.complete = byId("complete").checked;
    if (kind === "reconstruct" && byId("from").value) wish.leads = byId("from").value.split(",");
    showError("");
    try {
      this.follow(await startJob(this.view.recording.id, wish));
      say(`${WORDS[kind]}: started`);
    } catch (error) {
      showError(error.message);
    }
  }

  /** Shows a job until it is over. */
  follow(job) {
    if (this.active.has(job.id)) return;
    const row = this.rowOf(job);
    this.active.set(job.id, { job, row });
    this.list.append(row);
    this.show(job, row);
    this.timer ??= setTimeout(() => this.poll(), POLL_MS);
  }

  rowOf(job) {
    const name = WORDS[job.kind] ?? job.kind;
    const cancel = make("button", { type: "button", class: "small", "aria-label": `Cancel: ${name}` }, "Cancel");
    cancel.addEventListener("click", async () => {
      cancel.disabled = true;
      await cancelJob(job.id).catch((error) => showError(error.message));
    });
    const label = make("span", { class: "job-name" }, name);
    return make(
      "li",
      {},
      label,
      cancel,
      make("progress", { "aria-label": name }),
      make("span", { class: "job-state" }),
    );
  }

  show(job, row) {
    const bar = row.querySelector("progress");
    if (job.state === "running" && job.total > 0) {
      bar.max = job.total;
      bar.value = job.done;
    } else bar.removeAttribute("value");
    const left = job.seconds_left === null ? "" : `about ${inWords(Math.ceil(job.seconds_left))} left`;
    const waits = job.position > 0 ? `waits for ${job.position} other${job.position > 1 ? "s" : ""}` : "waits";
    const share = job.total > 0 ? `${Math.floor((100 * job.done) / job.total)} %` : "";
    const words = job.state === "queued" ? [waits] : [share, left, job.message];
    row.querySelector(".job-state").textContent = words.filter(Boolean).join(", ");
  }

  async poll() {
    const { recording } = this.view;
    const over = [];
    try {
      for (const [id, { row }] of [...this.active]) {
        const job = await getJob(id);
        if (this.view.recording !== recording && this.view.recording.id !== recording.id) return;
        if (isOver(job)) over.push(job);
        else this.show(job, row);
      }
      if (over.length) await this.finish(over, recording.id);
    } catch (error) {
      showError(error.message);
      this.clear();
      return;
    }
    this.timer = this.active.size ? setTimeout(() => this.poll(), POLL_MS) : undefined;
  }

  async finish(jobs, id) {
    const summary = await getRecording(id);
    if (this.view.recording.id !== id) return;
    for (const job of jobs) {
      this.active.get(job.id)?.row.remove();
      this.active.delete(job.id);
      const name = WORDS[job.kind] ?? job.kind;
      say(`${name}: ${job.state}`);
      if (job.state === "failed") showError(`${name} failed: ${job.message}`);
    }
    this.view.take(summary);
    for (const job of jobs) this.dispatchEvent(new CustomEvent("over", { detail: job }));
  }
}
