/**
 * Keeps the parts of a page that change up to date: asks for them every few seconds while the page is seen, less often
 * when an answer takes long, or none comes. Without it the page shows how things stood when it was loaded.
 */

const SLOWEST_MS = 120_000;
const PATIENCE_MS = 60_000;
const SHARE = 4; // An answer that takes a second is asked for every fourth second at most.

function watch(root) {
  const every = Number(root.dataset.nextMs);
  const told = root.querySelector(":scope > [data-told], :scope > p [data-told]");
  let failures = 0;
  let timer = 0;
  let asking = false;
  let took = 0;

  function put(fresh) {
    for (const part of root.querySelectorAll("[data-part]")) {
      const other = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
      if (other && other.innerHTML !== part.innerHTML) {
        part.replaceChildren(...other.childNodes);
      }
    }
  }

  async function ask() {
    asking = true;
    const begun = performance.now();
    try {
      const response = await fetch(root.dataset.fragment, { signal: AbortSignal.timeout(PATIENCE_MS) });
      if (response.redirected) {
        told.textContent = "You are signed out, so the page no longer follows: reload it.";
        return;
      }
      if (!response.ok) {
        throw new Error(`status ${response.status}`);
      }
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.querySelector("[data-fragment]");
      if (fresh.dataset.version !== root.dataset.version) {
        location.reload();
        return;
      }
      put(fresh);
      took = performance.now() - begun;
      failures = 0;
      told.textContent = "";
    } catch {
      failures += 1;
      told.textContent = "The server does not answer; the page goes on asking, less often.";
    } finally {
      asking = false;
    }
    later();
  }

  function later() {
    clearTimeout(timer);
    if (!document.hidden && every) {
      timer = setTimeout(ask, Math.min(Math.max(every * 2 ** failures, SHARE * took), SLOWEST_MS));
    }
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden && !asking && every) {
      ask();
    }
  });
  if ("asksNow" in root.dataset) {
    ask();
  } else {
    later();
  }
}

for (const root of document.querySelectorAll("[data-fragment]")) {
  if (Number(root.dataset.nextMs) || "asksNow" in root.dataset) {
    watch(root);
  }
}
