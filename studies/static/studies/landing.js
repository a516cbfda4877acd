/** The first page, and the page of a paused study: offer a rater who was here before to go on; start one session only. */

import { memory } from "./transport.js";

const again = document.getElementById("again");
const kept = memory.read(again.dataset.key);

if (kept !== null && typeof kept.address === "string" && kept.address.startsWith("/r/")) {
  const link = document.getElementById("again-link");
  link.href = kept.address;
  if (kept.finished) {
    document.getElementById("again-words").textContent = again.dataset.finishedWords;
    link.textContent = again.dataset.finishedLink;
  }
  again.hidden = false;
}

// That the page was shown is told by a script, once for each step of the browser's history: fetching a page writes nothing.
if (again.dataset.countAddress && typeof window.history.state?.token !== "string") {
  fetch(again.dataset.countAddress, { method: "POST", credentials: "omit", keepalive: true }).catch(() => {});
}

// The server starts one session for a token. The page gets another one whenever it is loaded, but a rater who comes back
// to it, or reloads it, shall start nothing new: the first token stays with this step of the browser's history.
const token = document.querySelector("[name=entry_token]");
if (token !== null) {
  if (typeof window.history.state?.token === "string") token.value = window.history.state.token;
  else window.history.replaceState({ token: token.value }, "");
}

// A study may ask for a window of some width; the pictures of its pairs would not fit side by side otherwise.
const tooSmall = document.getElementById("too-small");
function widthTell() {
  document.getElementById("window-px").value = window.innerWidth;
  if (tooSmall === null) return;
  tooSmall.hidden = window.innerWidth >= Number(tooSmall.dataset.minimum);
  form.hidden = !tooSmall.hidden;
}

const form = document.getElementById("consent");
if (form !== null) {
  widthTell();
  window.addEventListener("resize", widthTell);
}
let isSent = false;
form?.addEventListener("submit", (event) => {
  if (isSent) event.preventDefault();
  isSent = true;
});
window.addEventListener("pageshow", () => {
  isSent = false; // Back from the next page: the form may be sent again.
});
