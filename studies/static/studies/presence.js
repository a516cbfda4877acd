/** Notice when a rater leaves the page, and when the rater is a program. */

/** Return whether the page is in front of the rater: neither behind another tab nor without focus. */
function isAttended() {
  return !document.hidden && document.hasFocus();
}

/**
 * Watch the page from now on.
 *
 * @returns {{picturesBegin: () => void, picturesEnd: () => void, stop: () => object}} `stop` returns what was seen:
 *   wasHidden and lostFocus while pictures were up, and how often the page was left in all
 */
export function presenceWatch() {
  const seen = { wasHidden: false, lostFocus: false, focusLosses: 0 };
  let arePicturesUp = false;
  let wasAttended = isAttended();
  const note = (isHidden, hasFocus) => {
    if (arePicturesUp) {
      seen.wasHidden ||= isHidden;
      seen.lostFocus ||= !hasFocus;
    }
    const attended = !isHidden && hasFocus;
    if (wasAttended && !attended) seen.focusLosses += 1;
    wasAttended = attended;
  };
  const look = () => note(document.hidden, document.hasFocus());
  const lookAway = () => note(document.hidden, false); // Some browsers still claim the focus while they lose it.
  const listeners = [
    [document, "visibilitychange", look],
    [window, "focus", look],
    [window, "blur", lookAway],
  ];
  for (const [target, name, listener] of listeners) target.addEventListener(name, listener);
  return {
    picturesBegin() {
      arePicturesUp = true;
      look();
    },
    picturesEnd() {
      arePicturesUp = false;
    },
    stop() {
      for (const [target, name, listener] of listeners) target.removeEventListener(name, listener);
      return seen;
    },
  };
}

/** Wait until the page can be seen: nobody is shown a pair behind another tab. */
export function visibleWait() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { once: true });
  });
}

/**
 * Return the signs that a program drives the browser, parted by spaces.
 *
 * @param {boolean} isByHand whether the answer came from a key, a mouse or a finger, as the browser says
 */
export function automationSigns(isByHand) {
  const signs = [];
  if (navigator.webdriver) signs.push("webdriver");
  if (/headless/i.test(navigator.userAgent)) signs.push("headless");
  if (!isByHand) signs.push("scripted");
  return signs.join(" ");
}
