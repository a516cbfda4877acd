/** The last page of an assignment of Mechanical Turk: note that the rater hands in, which the site there never tells us. */

document.getElementById("hand-in").addEventListener("submit", () => {
  fetch(window.location.pathname, { method: "POST", credentials: "omit", keepalive: true }).catch(() => {});
});
