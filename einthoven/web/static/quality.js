// The verdict of each lead over time: spans of pieces that were judged alike.

/** What each verdict is called, the colour it has on the paper, and whether it is hatched. */
export const VERDICTS = {
  good: { label: "good", colour: "--good", gap: 0 },
  noisy: { label: "noisy", colour: "--noisy", gap: 9 },
  lost: { label: "not usable", colour: "--lost", gap: 5 },
};
const LOST = /flat|saturat|missing|held|wild|clip/;

/**
 * Spans of one lead, those alike joined.
 * @param {any} recording the server's summary
 * @param {string} lead
 * @returns {{start: number, end: number, verdict: string, reason: string}[]}
 */
export function verdictSpans(recording, lead) {
  const { edges, leads } = recording.verdict;
  const judged = leads?.[lead];
  if (!judged) return [];
  const spans = [];
  judged.bad.forEach((isBad, piece) => {
    const reason = isBad ? judged.reason[piece] : "";
    const verdict = !isBad ? "good" : LOST.test(reason) ? "lost" : "noisy";
    const last = spans.at(-1);
    if (last && last.verdict === verdict && last.reason === reason) last.end = edges[piece + 1];
    else spans.push({ start: edges[piece], end: edges[piece + 1], verdict, reason });
  });
  return spans;
}

/** Sums up a lead: share of good time, seconds of each reason, and the mean noise score in dB (null: none). */
export function summaryOf(recording, lead) {
  const seconds = new Map();
  let [good, all] = [0, 0];
  for (const span of verdictSpans(recording, lead)) {
    const length = span.end - span.start;
    all += length;
    if (span.verdict === "good") good += length;
    else seconds.set(span.reason || "bad", (seconds.get(span.reason || "bad") ?? 0) + length);
  }
  const scores = (recording.verdict.leads?.[lead]?.score ?? []).filter((score) => score !== null);
  const score = scores.length ? scores.reduce((sum, value) => sum + value, 0) / scores.length : null;
  return { good: all ? good / all : null, seconds, score };
}
