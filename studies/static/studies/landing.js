/** The first page, and the page of a paused study: offer a rater who was here before to go on; send the form once. */

import { memory } from "./transport.js";

const again = document.getElementById("again");
const kept = memory.read(again.dataset.key);

if (kept !== null && typeof kept.address === "string" && kept.address.startsWith("/r/")) {
  const link = document.getElementById("again-link");
  link.href = kept.address;
  if (kept.finished) {
    document.getElementById("again-words").textContent = "You have finished this study already, in this browser.";
    link.textContent = "Show my completion code";
  }
  again.hidden = false;
}

const form = document.getElementById("consent");
let isSent = false;
form?.addEventListener("submit", (event) => {
  if (isSent) event.preventDefault();
  isSent = true;
});
window.addEventListener("pageshow", () => {
  isSent = false; // Back from the next page: the form may be sent again.
});
