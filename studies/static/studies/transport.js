/** Fetch pictures ahead and hand in answers, so that a network that comes and goes loses nothing. */

import { pause } from "./timing.js";

const PAUSES_MS = [1000, 2000, 4000, 8000, 15000, 30000];
const PATIENCE_MS = 20000;
/** What a proxy says of a crowd or a slow line, below 500 and no refusal: try again later. */
const NOT_NOW = [408, 425, 429];

/** The server understood and said no: asking again would not help. */
export class Refused extends Error {
  /**
   * @param {number} status
   * @param {string} sentence for the rater; may be empty
   */
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** Wait before trying again, but no longer than until the network is back. */
function pauseOrOnline(ms) {
  const online = new Promise((resolve) => {
    window.addEventListener("online", resolve, { once: true });
  });
  return Promise.race([pause(ms), online]);
}

/**
 * Ask until there is an answer. Network failures, 5xx and “not now” are tried again with growing pauses, other 4xx thrown.
 *
 * An attempt ends when nothing has come for a while: a slow network may take its time, as long as it brings something.
 *
 * @param {string} address
 * @param {object} options of `fetch`, and `read`: how to read a response; it calls its second argument on each sign of life
 * @param {{onTrouble: () => void}} callbacks called after each failed attempt
 */
async function fetchPatiently(address, { read, ...options }, { onTrouble }) {
  for (let attempt = 0; ; attempt += 1) {
    const controller = new AbortController();
    let timer;
    const onLife = () => {
      clearTimeout(timer);
      timer = setTimeout(() => controller.abort(), PATIENCE_MS);
    };
    onLife();
    try {
      const response = await fetch(address, {
        ...options,
        credentials: "omit",
        cache: "no-store",
        signal: controller.signal,
      });
      if (response.ok) return await read(response, onLife);
      if (response.status < 500 && !NOT_NOW.includes(response.status)) {
        const reply = await response.json().catch(() => ({}));
        throw new Refused(response.status, reply.error ?? "");
      }
    } catch (error) {
      if (error instanceof Refused) throw error;
    } finally {
      clearTimeout(timer);
    }
    onTrouble();
    await pauseOrOnline(PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)]);
  }
}

/** The pictures of the current trial and the few after it, in memory only. */
export class Stimuli {
  /**
   * @param {string} address of a trial's pictures, less the trial's code
   * @param {number} size side of a picture in pixels
   * @param {string[]} names of a trial's pictures, in the order of the file
   */
  constructor(address, size, names) {
    this.address = address;
    this.names = names;
    this.pictureLength = size * size * 3;
    this.length = names.length * this.pictureLength;
    this.fetched = new Map();
    this.received = new Map();
  }

  /** Fetch what is not there yet of these trials, and forget all others. */
  keep(codes) {
    for (const code of this.fetched.keys()) {
      if (codes.includes(code)) continue;
      this.fetched.delete(code);
      this.received.delete(code);
    }
    for (const code of codes) {
      if (!this.fetched.has(code)) {
        const pictures = this.fetch(code);
        pictures.catch(() => {}); // whoever asks for it gets the error
        this.fetched.set(code, pictures);
      }
    }
  }

  /** Take a trial's pictures that came with a reply: their values in base64. */
  bring({ trial, values }) {
    const bytes = Uint8Array.from(atob(values), (letter) => letter.charCodeAt(0));
    this.fetched.set(trial, Promise.resolve(this.cut(bytes)));
  }

  /** Cut the values of a trial's pictures into one piece for each, by name. */
  cut(bytes) {
    const piece = (i) => bytes.subarray(i * this.pictureLength, (i + 1) * this.pictureLength);
    return Object.fromEntries(this.names.map((name, i) => [name, piece(i)]));
  }

  async fetch(code) {
    const read = async (response, onLife) => {
      const bytes = new Uint8Array(this.length);
      const reader = response.body.getReader();
      let count = 0;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        onLife();
        bytes.set(value, count); // throws if more comes than the pictures
        count += value.length;
        if (this.fetched.has(code)) this.received.set(code, count);
      }
      if (count !== bytes.length) throw new Error("The pictures did not arrive whole.");
      return this.cut(bytes);
    };
    return fetchPatiently(this.address + code, { read }, { onTrouble: () => {} });
  }

  /** @returns {number} how much of a trial's pictures has come, in [0, 1] */
  share(code) {
    return (this.received.get(code) ?? 0) / this.length;
  }

  /** @returns {Promise<Object<string, Uint8Array>>} the pictures of a trial that is kept, by name */
  get(code) {
    return this.fetched.get(code);
  }
}

/** What is kept in this browser; without leave to keep anything it forgets, and the rest works on. */
export const memory = {
  read(key) {
    try {
      return JSON.parse(window.localStorage.getItem(key));
    } catch {
      return null;
    }
  },
  write(key, value) {
    try {
      window.localStorage.setItem(key, JSON.stringify(value));
    } catch {
      // Storage is full or forbidden: the answer is still in this page's memory.
    }
  },
  remove(key) {
    try {
      window.localStorage.removeItem(key);
    } catch {
      // As above.
    }
  },
};

/**
 * Hand in an answer; it is kept in this browser until the server has acknowledged or refused it.
 *
 * @param {string} address
 * @param {object} answer as the server expects it
 * @param {{keepAs: string, onTrouble: () => void}} options the key to keep it under; called after each failed attempt
 * @returns {Promise<{feedback: object | null, passage: object, pictures: object | null}>}
 */
export async function answerSend(address, answer, { keepAs, onTrouble }) {
  memory.write(keepAs, answer);
  const request = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(answer),
    read: (response) => response.json(),
  };
  try {
    return await fetchPatiently(address, request, { onTrouble });
  } finally {
    memory.remove(keepAs); // Reached only once the server has answered.
  }
}
