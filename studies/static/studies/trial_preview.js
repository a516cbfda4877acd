/**
 * The pictures of one trial on the page that checks a study: enlarged as raters see them, by the same code.
 */

import { pictureDraw } from "./pictures.js";

/** Fetch the pictures of a trial and draw each on its canvas; draw again when there is more or less room. */
async function shows(stage) {
  const size = Number(stage.dataset.size);
  const response = await fetch(stage.dataset.trial);
  if (!response.ok || response.redirected) {
    return; // Signed out, or a picture is missing: the stage stays empty.
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  const canvases = [...stage.querySelectorAll("canvas")];
  const length = size * size * 3;

  function draw() {
    const room = stage.clientWidth - 32;
    canvases.forEach((canvas, i) => {
      pictureDraw(canvas, bytes.subarray(i * length, (i + 1) * length), {
        size,
        displayScale: Number(stage.dataset.scale),
        kernel: stage.dataset.kernel,
        room,
      });
    });
    stage.dataset.drawn = "";
  }

  draw();
  new ResizeObserver(draw).observe(stage);
}

document.querySelectorAll("[data-trial]").forEach(shows);
