// The server's routes. Each function returns what the server says, or throws an Error with its one line.

/**
 * @param {string} method
 * @param {string} url
 * @param {BodyInit} [body]
 */
async function call(method, url, body) {
  let answer;
  try {
    const headers = typeof body === "string" ? { "Content-Type": "application/json" } : undefined;
    answer = await fetch(url, { method, body, headers, credentials: "same-origin" });
  } catch {
    throw new Error("The server does not answer: is `einthoven serve` still running?");
  }
  const isJson = (answer.headers.get("Content-Type") ?? "").includes("json");
  const content = isJson ? await answer.json() : null;
  if (!answer.ok) throw new Error(content?.error ?? `The server refused this (${answer.status}).`);
  return content;
}

const queryOf = (values) =>
  new URLSearchParams(
    Object.entries(values)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, String(value)]),
  );

/**
 * @param {Iterable<File>} files one recording may be several files
 * @param {Record<string, string>} options sampling_rate and unit, of files that do not say them
 */
export function upload(files, options) {
  const form = new FormData();
  for (const [name, value] of Object.entries(options)) if (value) form.append(name, value);
  for (const file of files) form.append("files", file, file.name);
  return call("POST", "/recordings", form);
}

export const openDemo = () => call("POST", "/recordings/demo");

export const getRecording = (id) => call("GET", `/recordings/${id}`);

export const deleteRecording = (id) => call("DELETE", `/recordings/${id}`);

/**
 * @param {string} id
 * @param {{version: string, result?: string, start?: number, duration?: number, width: number, low_pass?: number}} part
 */
export const getSignal = (id, part) => call("GET", `/recordings/${id}/signal?${queryOf(part)}`);

/** @param {{version: string, result?: string}} which */
export const getMeasures = (id, which) => call("GET", `/recordings/${id}/measures?${queryOf(which)}`);

/** @param {{kind: string, complete?: boolean, leads?: string[]}} wish */
export const startJob = (id, wish) => call("POST", `/recordings/${id}/jobs`, JSON.stringify(wish));

export const getJob = (id) => call("GET", `/jobs/${id}`);

export const cancelJob = (id) => call("DELETE", `/jobs/${id}`);

/** @param {Record<string, string | number | boolean | undefined>} look speed, gain, layout, start, result, patient */
export const fileUrl = (id, name, look) => `/recordings/${id}/files/${encodeURIComponent(name)}?${queryOf(look)}`;
