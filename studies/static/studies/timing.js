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

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/**
 * Show one thing after the other, each for its time, changing only on animation frames.
 *
 * A thing stands until the frame that is nearest to its time, by the frame interval seen so far. The time achieved is
 * the difference of the two frames' times; a frame that the browser missed is in it.
 *
 * @param {{enter: () => void, leave: () => void, durationMs: number, until?: () => Promise}[]} steps a step of 0 ms is
 *   left out, unless it has `until`: then it stands until that promise, asked for once the step is painted, is kept
 * @returns {Promise<{shown: {ms: number, frames: number}[], intervalMs: number | null}>} for each step the time and
 *   the number of frames it was shown; the median time between two frames, null if there was nothing to show
 */
export async function present(steps) {
  const shown = [];
  const intervals = [];
  let shortest = 0; // a missed frame must not make the next ones look long
  let now = await frameNext();
  for (const { enter, leave, durationMs, until } of steps) {
    if (durationMs <= 0 && until === undefined) {
      shown.push({ ms: 0, frames: 0 });
      continue;
    }
    const onset = now;
    let frames = 0;
    enter();
    let isOver = until === undefined ? () => now - onset >= durationMs - shortest / 2 : null;
    do {
      const previous = now;
      now = await frameNext();
      frames += 1;
      const step = now - previous;
      if (step > 1) intervals.push(step);
      if (step > 1 && (shortest === 0 || step < shortest)) shortest = step;
      if (isOver === null) {
        let isKept = false;
        until().then(() => (isKept = true));
        isOver = () => isKept;
      }
    } while (!isOver());
    leave(); // in the same frame as the next step's enter
    shown.push({ ms: now - onset, frames });
  }
  return { shown, intervalMs: intervals.length > 0 ? median(intervals) : null };
}
