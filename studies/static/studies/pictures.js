/**
 * Enlarge pictures for a screen, by the same arithmetic on every device.
 *
 * One picture pixel becomes a square of `scale` x `scale` device pixels; how many depends on the screen. The enlargement
 * is computed here, in double precision, and put on a canvas that has exactly as many pixels as the screen shows it with:
 * nothing is left for the browser to smooth.
 */

/**
 * Return how many device pixels show one picture pixel, along each axis: a whole number, at least 1. `size` is in picture
 * pixels, `room` (the side of the free square) in CSS pixels, `displayScale` in CSS pixels for one picture pixel.
 */
export function scaleFit({ size, displayScale, pixelRatio, room }) {
  const wanted = Math.round(displayScale * pixelRatio);
  const fitting = Math.floor((room * pixelRatio) / size);
  return Math.max(1, Math.min(wanted, fitting));
}

/**
 * Return the weights of Keys' cubic convolution kernel (a = -0.5) for one output pixel of each phase.
 *
 * Pixel centres lie at half units. Each output coordinate has its taps inside the picture, scaled to sum 1.
 */
function bicubicTaps(size, scale) {
  const kernel = (distance) => {
    const x = Math.abs(distance);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
    return 0;
  };
  const taps = [];
  for (let out = 0; out < size * scale; out += 1) {
    const centre = (out + 0.5) / scale - 0.5;
    const inside = [];
    for (let index = Math.floor(centre) - 1; index <= Math.floor(centre) + 2; index += 1) {
      if (index >= 0 && index < size) inside.push({ index, weight: kernel(centre - index) });
    }
    const total = inside.reduce((sum, tap) => sum + tap.weight, 0);
    taps.push(inside.map(({ index, weight }) => ({ index, weight: weight / total })));
  }
  return taps;
}

function enlargeBicubic(rgb, size, scale) {
  const side = size * scale;
  const taps = bicubicTaps(size, scale);
  const rows = new Float64Array(size * side * 3); // (size, side, 3): enlarged along x only
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < side; x += 1) {
      for (let channel = 0; channel < 3; channel += 1) {
        let sum = 0;
        for (const { index, weight } of taps[x]) sum += weight * rgb[(y * size + index) * 3 + channel];
        rows[(y * side + x) * 3 + channel] = sum;
      }
    }
  }
  const rgba = new Uint8ClampedArray(side * side * 4).fill(255);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      for (let channel = 0; channel < 3; channel += 1) {
        let sum = 0;
        for (const { index, weight } of taps[y]) sum += weight * rows[(index * side + x) * 3 + channel];
        rgba[(y * side + x) * 4 + channel] = Math.floor(sum + 0.5); // clamped to 0..255 by the array
      }
    }
  }
  return rgba;
}

function enlargeNearest(rgb, size, scale) {
  const side = size * scale;
  const rgba = new Uint8ClampedArray(side * side * 4).fill(255);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const from = (Math.floor(y / scale) * size + Math.floor(x / scale)) * 3;
      const to = (y * side + x) * 4;
      rgba[to] = rgb[from];
      rgba[to + 1] = rgb[from + 1];
      rgba[to + 2] = rgb[from + 2];
    }
  }
  return rgba;
}

/**
 * Enlarge a square picture by a whole number.
 *
 * @param {Uint8Array} rgb size * size * 3 bytes, sRGB, row by row
 * @param {number} size side in pixels
 * @param {number} scale whole-number factor
 * @param {"nearest" | "bicubic"} kernel
 * @returns {Uint8ClampedArray} (size * scale) squared * 4 bytes, RGBA
 */
export function enlarge(rgb, size, scale, kernel) {
  return kernel === "bicubic" ? enlargeBicubic(rgb, size, scale) : enlargeNearest(rgb, size, scale);
}

/**
 * Draw a picture on a canvas whose pixels are device pixels.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} rgb
 * @param {object} display size, displayScale, kernel as set by the study; room in CSS pixels
 * @returns {{scale: number, pixelRatio: number}} device pixels for one picture pixel, and for one CSS pixel
 */
export function pictureDraw(canvas, rgb, { size, displayScale, kernel, room }) {
  const pixelRatio = window.devicePixelRatio;
  const scale = scaleFit({ size, displayScale, pixelRatio, room });
  const side = size * scale;
  canvas.width = side;
  canvas.height = side;
  canvas.style.width = `${side / pixelRatio}px`;
  canvas.style.height = `${side / pixelRatio}px`;
  const context = canvas.getContext("2d", { alpha: false });
  context.putImageData(new ImageData(enlarge(rgb, size, scale, kernel), side, side), 0, 0);
  return { scale, pixelRatio };
}

/**
 * Make a picture of noise: every value of every pixel drawn evenly and on its own, from a seed alone.
 *
 * @param {number} size side in pixels
 * @param {string} seed the same seed gives the same noise
 * @returns {Uint8Array} size * size * 3 bytes
 */
export function noise(size, seed) {
  let state = 2166136261; // FNV-1a of the seed starts the generator (mulberry32)
  for (const letter of seed) state = Math.imul(state ^ letter.codePointAt(0), 16777619);
  return Uint8Array.from({ length: size * size * 3 }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) & 255;
  });
}

/**
 * Move a canvas to the middle of its parent, onto whole device pixels: between two of them it would be smoothed.
 *
 * @param {HTMLCanvasElement} canvas absolutely placed inside its parent
 */
export function pictureCentre(canvas) {
  const pixelRatio = window.devicePixelRatio;
  const box = canvas.parentElement.getBoundingClientRect();
  const snap = (edge, room, side) => Math.round((edge + (room - side) / 2) * pixelRatio) / pixelRatio - edge;
  canvas.style.left = `${snap(box.left, box.width, canvas.width / pixelRatio)}px`;
  canvas.style.top = `${snap(box.top, box.height, canvas.height / pixelRatio)}px`;
}
