/** Lead a rater who has finished back to their panel, when nothing more is to be done, and only if they let it happen. */

import { pause } from "./timing.js";

const STEP_MS = 100;

/**
 * Wait for some seconds during which the page can be seen.
 *
 * @param {number} seconds
 * @param {{onStep: (share: number) => void, isStopped: () => boolean}} callbacks `share` of the time that has passed
 * @returns {Promise<boolean>} false if it was stopped
 */
export async function visibleSeconds(seconds, { onStep, isStopped }) {
  let seenMs = 0;
  while (seenMs < 1000 * seconds) {
    await pause(STEP_MS);
    if (isStopped()) return false;
    if (!document.hidden) seenMs += STEP_MS;
    onStep(seenMs / (1000 * seconds));
  }
  return true;
}
