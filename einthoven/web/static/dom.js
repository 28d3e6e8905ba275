// Elements of the page, made and found in a few words.

/**
 * Finds an element by its id; a missing one is a mistake of ours.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element #${id}`);
  return element;
}

/**
 * Makes an element. Text is always text: nothing that a file says is read as HTML.
 * @param {string} tag
 * @param {Record<string, string | boolean>} attributes false leaves an attribute out
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** Says something in the line that screen readers follow. */
export function say(text) {
  byId("status").textContent = text;
}

/** Shows an error until the next one, or hides it with "". */
export function showError(text) {
  const box = byId("error");
  box.textContent = text;
  box.hidden = !text;
}

/** @param {number} seconds */
export function inWords(seconds) {
  if (seconds < 90) return `${Number(seconds.toFixed(seconds < 10 ? 1 : 0))} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  return hours ? `${hours} h ${minutes} min` : `${minutes} min ${rest} s`;
}
