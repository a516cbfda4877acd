/** The sentences that scripts say: they stand in the page, so that one place holds all that raters read. */

const sentences = new Map(
  [...document.getElementById("words").content.querySelectorAll("[data-word]")].map((element) => [
    element.dataset.word,
    element.textContent.trim().replace(/\s+/g, " "),
  ]),
);

/**
 * Return a sentence of the page.
 *
 * @param {string} name
 * @param {object} values for the names in braces
 */
export function words(name, values = {}) {
  return sentences.get(name).replace(/\{(\w+)\}/g, (_, key) => values[key]);
}
