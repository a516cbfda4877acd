/**
 * Lead a rater through a session: instructions, practice with feedback, the pairs that count, thanks.
 *
 * The server owns the position. Its state stands in the page and comes back with each answer; nothing here knows which
 * picture is the photo before the server says so in practice.
 */

import { pictureCentre, pictureDraw } from "./pictures.js";
import { frameNext, pause, present } from "./timing.js";
import { Refused, Stimuli, answerSend, memory } from "./transport.js";

const { display, timing, addresses, keys, passage } = JSON.parse(document.getElementById("state").textContent);

const byId = (id) => document.getElementById(id);
const stage = byId("stage");
const canvases = { first: byId("first"), second: byId("second") };
const choiceButtons = { first: byId("choose-first"), second: byId("choose-second") };
const SIDE_OF_KEY = { ArrowLeft: "first", 1: "first", ArrowRight: "second", 2: "second" };

const stimuli = new Stimuli(addresses.stimulus, display.size);

// --- Pages of the one page -------------------------------------------------------------------------------------------

/** Show one panel and move the focus into it, so that a screen reader begins there. */
function panelShow(name) {
  const isNew = document.body.dataset.view !== name;
  document.body.dataset.view = name;
  for (const panel of document.querySelectorAll("[data-panel]")) panel.hidden = panel.dataset.panel !== name;
  if (!isNew) return;
  window.scrollTo(0, 0);
  const panel = document.querySelector(`[data-panel="${name}"]`);
  (panel.querySelector("[data-focus]") ?? panel).focus({ preventScroll: true });
}

/** Show a panel until its button is pressed, or Enter where no other control has the focus. */
function panelPass(name) {
  panelShow(name);
  return buttonWait(document.querySelector(`[data-panel="${name}"] [data-go]`));
}

function buttonWait(button) {
  return new Promise((resolve) => {
    const onKey = (event) => {
      const isFree = !event.repeat && !event.target.closest("a, button, input, summary");
      if (event.key === "Enter" && isFree) finish();
    };
    const finish = () => {
      document.removeEventListener("keydown", onKey);
      button.removeEventListener("click", finish);
      resolve();
    };
    document.addEventListener("keydown", onKey);
    button.addEventListener("click", finish);
  });
}

function announce(words) {
  byId("live").textContent = words;
}

function noticeShow(words) {
  byId("notice").textContent = words;
  byId("notice").hidden = words === "";
}

/** Say something if a promise takes long, until it is settled. */
async function noticeIfSlow(promise, ms, words) {
  const timer = setTimeout(() => noticeShow(words), ms);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    noticeShow("");
  }
}

// --- A trial ---------------------------------------------------------------------------------------------------------

function progressShow({ phase, position, count }) {
  const words = phase === "practice" ? `Practice ${position} of ${count}` : `${position} of ${count}`;
  byId("progress-words").textContent = words;
  byId("progress").max = count;
  byId("progress").value = position - 1;
  announce(phase === "practice" ? `Practice pair ${position} of ${count}.` : `Pair ${position} of ${count}.`);
}

/** Note whether the page is hidden from now on until `stop`. */
function hiddenWatch() {
  const seen = { wasHidden: document.hidden };
  const look = () => {
    seen.wasHidden ||= document.hidden;
  };
  document.addEventListener("visibilitychange", look);
  return {
    stop() {
      document.removeEventListener("visibilitychange", look);
      return seen.wasHidden;
    },
  };
}

/** Wait until the page can be seen: nobody is shown a pair behind another tab. */
function visibleWait() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { once: true });
  });
}

/** Draw both pictures, unseen yet; returns the scale that both got and the screen's pixel ratio. */
function picturesDraw(pictures) {
  const room = Math.min(stage.clientWidth, stage.clientHeight) - 16;
  const [drawn] = Object.values(canvases).map((canvas, i) => {
    const scales = pictureDraw(canvas, pictures[i], { ...display, room });
    pictureCentre(canvas);
    return scales;
  });
  return drawn;
}

function showing(element, durationMs) {
  return {
    durationMs,
    enter: () => element?.classList.add("is-shown"),
    leave: () => element?.classList.remove("is-shown"),
  };
}

function choiceEnable(isEnabled) {
  byId("question").classList.toggle("is-away", !isEnabled);
  for (const button of Object.values(choiceButtons)) button.setAttribute("aria-disabled", String(!isEnabled));
}

/** Take the first choice made from now on, by click, touch or key; resolves to the side and the time it took. */
function choiceWait(enabledAt) {
  return new Promise((resolve) => {
    const choose = (side, event) => {
      // What was pressed before the buttons could be used does not count, though it may arrive only now.
      if (event.timeStamp < enabledAt) return;
      document.removeEventListener("keydown", onKey);
      for (const [name, button] of Object.entries(choiceButtons)) button.removeEventListener("click", onClick[name]);
      choiceEnable(false);
      resolve({ side, rtMs: Math.round(event.timeStamp - enabledAt) });
    };
    const onKey = (event) => {
      const side = SIDE_OF_KEY[event.key];
      if (side === undefined || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      choose(side, event);
    };
    const onClick = {
      first: (event) => choose("first", event),
      second: (event) => choose("second", event),
    };
    document.addEventListener("keydown", onKey);
    for (const [name, button] of Object.entries(choiceButtons)) button.addEventListener("click", onClick[name]);
  });
}

/** Show a pair and take the answer. */
async function trialRun(state) {
  const code = state.trials[0];
  panelShow("trial");
  progressShow(state);
  choiceEnable(false);
  stimuli.keep(state.trials);
  const slow = "The pictures are slow to arrive. Nothing is lost; please wait a moment.";
  const pictures = await noticeIfSlow(stimuli.get(code), 1500, slow);
  await visibleWait();
  const { scale, pixelRatio } = picturesDraw(pictures);

  const watch = hiddenWatch();
  const [, firstMs, , secondMs] = await present([
    showing(byId("fixation"), timing.lead_in_ms),
    showing(canvases.first, timing.exposure_ms),
    showing(null, timing.gap_ms),
    showing(canvases.second, timing.exposure_ms),
  ]);
  const wasHidden = watch.stop();

  await frameNext(); // The second picture has left the screen.
  choiceEnable(true);
  announce("Choose now: first or second.");
  const { side, rtMs } = await choiceWait(performance.now());
  return {
    trial: code,
    chosen_side: side,
    rt_ms: rtMs,
    exposure_first_ms: firstMs,
    exposure_second_ms: secondMs,
    was_hidden: wasHidden,
    device_scale: scale,
    pixel_ratio: pixelRatio,
  };
}

/** Hand in an answer, however long the network takes. */
async function answerDeliver(answer) {
  const kept = "Your answer is kept here and will be sent again.";
  const sent = answerSend(addresses.answer, answer, { keepAs: keys.answer, onTrouble: () => noticeShow(kept) });
  return noticeIfSlow(sent, 1500, "Sending your answer\u2026");
}

/** Show both pictures of a practice pair side by side, and say which one the photo was. */
async function feedbackShow(pictures, { correct, photo_side: photoSide }) {
  const again = byId("again");
  const figures = [...again.querySelectorAll("figure")];
  for (const figure of figures) {
    const isPhoto = figure.dataset.side === photoSide;
    figure.classList.toggle("is-photo", isPhoto);
    figure.querySelector("figcaption span").textContent = isPhoto ? "from a camera" : "from the computer";
  }
  const captionHeight = figures[0].querySelector("figcaption").offsetHeight;
  const room = Math.min(figures[0].clientWidth - 16, stage.clientHeight - captionHeight - 24);
  for (const [i, figure] of figures.entries()) {
    pictureDraw(figure.querySelector("canvas"), pictures[i], { ...display, room });
  }
  again.classList.remove("is-away");
  byId("verdict").classList.toggle("is-miss", !correct);
  byId("verdict-right").toggleAttribute("hidden", !correct);
  byId("verdict-miss").toggleAttribute("hidden", correct);
  const words = `${correct ? "Correct." : "Not this time."} The photo was the ${photoSide} one.`;
  byId("verdict-words").textContent = words;
  announce(words);
  byId("choice").classList.add("is-away");
  byId("feedback").classList.remove("is-away");
  byId("next").focus({ preventScroll: true });
  await buttonWait(byId("next"));
  byId("choice").classList.remove("is-away");
  byId("feedback").classList.add("is-away");
  again.classList.add("is-away");
  document.querySelector('[data-panel="trial"]').focus({ preventScroll: true });
}

// --- The session -----------------------------------------------------------------------------------------------------

function thanksShow({ completion_code: code }) {
  memory.write(keys.session, { address: addresses.session, finished: true });
  byId("code").textContent = code;
  panelShow("thanks");
  byId("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code);
      byId("copied").textContent = "Copied.";
    } catch {
      window.getSelection().selectAllChildren(byId("code"));
      byId("copied").textContent = "The code is selected: copy it with Ctrl+C, or by a long press.";
    }
  });
}

/** Hand in what an earlier visit could not; returns where the session stands. */
async function keptDeliver(state) {
  const kept = memory.read(keys.answer);
  if (kept === null || kept.trial !== state.trials[0]) {
    memory.remove(keys.answer);
    return state;
  }
  return (await answerDeliver(kept)).passage;
}

async function sessionRun() {
  let state = await keptDeliver(passage);
  memory.write(keys.session, { address: addresses.session, finished: state.phase === "finished" });
  stimuli.keep(state.trials);
  if (state.phase !== "finished" && state.is_first) await panelPass("instructions");
  else if (state.phase !== "finished" && !state.is_phase_start) {
    byId("resume-words").textContent =
      state.phase === "practice"
        ? `You are at practice pair ${state.position} of ${state.count}.`
        : `You are at pair ${state.position} of ${state.count}.`;
    await panelPass("resume");
  }
  while (state.phase !== "finished") {
    if (state.phase === "main" && state.is_phase_start && !state.is_first) await panelPass("interstitial");
    const answer = await trialRun(state);
    const pictures = await stimuli.get(answer.trial);
    const reply = await answerDeliver(answer);
    state = reply.passage;
    stimuli.keep(state.trials);
    if (reply.feedback !== null) await feedbackShow(pictures, reply.feedback);
  }
  thanksShow(state);
}

// A page that the browser kept and shows again may be behind the server.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

try {
  await sessionRun();
} catch (error) {
  if (!(error instanceof Refused)) throw error;
  if (error.status === 409) {
    await pause(300);
    window.location.reload(); // The session went on elsewhere, or the study was closed: the server knows.
  } else {
    if (error.message !== "") byId("refused-words").textContent = error.message;
    panelShow("refused");
    byId("reload").addEventListener("click", () => window.location.reload());
  }
}
