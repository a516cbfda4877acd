/** Show and hide things on the screen's own frames, and measure for how long they really stood there. */

/** Wait for the next animation frame: what is changed then is painted in that frame. Resolves to the frame's time. */
export function frameNext() {
  return new Promise((resolve) => {
    requestAnimationFrame(resolve);
  });
}

/** Wait for some milliseconds; not for anything that shows a picture. */
export function pause(ms) {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/**
 * Show one thing after the other, each for its time, changing only on animation frames.
 *
 * A thing stands until the frame that is nearest to its time, by the frame interval seen so far. The time achieved is
 * the difference of the two frames' times; a frame that the browser missed is in it.
 *
 * @param {{enter: () => void, leave: () => void, durationMs: number}[]} steps a step of 0 ms is left out
 * @returns {Promise<number[]>} for each step the time it was shown, in ms
 */
export async function present(steps) {
  const achieved = [];
  let interval = 0; // the shortest seen: a missed frame must not make the next ones look long
  let now = await frameNext();
  for (const { enter, leave, durationMs } of steps) {
    if (durationMs <= 0) {
      achieved.push(0);
      continue;
    }
    const onset = now;
    enter();
    do {
      const previous = now;
      now = await frameNext();
      const step = now - previous;
      if (step > 1 && (interval === 0 || step < interval)) interval = step;
    } while (now - onset < durationMs - interval / 2);
    leave(); // in the same frame as the next step's enter
    achieved.push(now - onset);
  }
  return achieved;
}
