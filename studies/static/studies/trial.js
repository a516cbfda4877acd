/**
 * Lead a rater through a session: instructions, practice with feedback, the pairs that count, thanks.
 *
 * The server owns the position. Its state stands in the page and comes back with each answer; nothing here knows which
 * picture is the photo before the server says so in practice.
 */

import { noise, pictureCentre, pictureDraw } from "./pictures.js";
import { automationSigns, presenceWatch, visibleWait } from "./presence.js";
import { frameNext, pause, present } from "./timing.js";
import { Refused, Stimuli, answerSend, memory } from "./transport.js";
import { words } from "./words.js";

const { display, timing, addresses, keys, passage } = JSON.parse(document.getElementById("state").textContent);

const byId = (id) => document.getElementById(id);
const stage = byId("stage");
const canvases = { first: byId("first"), second: byId("second") };
const choiceButtons = { first: byId("choose-first"), second: byId("choose-second") };
const masks = Array.from({ length: timing.mask_count }, () => stage.appendChild(document.createElement("canvas")));
for (const [i, mask] of masks.entries()) Object.assign(mask, { id: `mask-${i}`, ariaHidden: "true" });
const SIDE_OF_KEY = { ArrowLeft: "first", 1: "first", ArrowRight: "second", 2: "second" };

const SLOW_MS = 1500;
const VERY_SLOW_MS = 8000;

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

function announce(sentence) {
  byId("live").textContent = sentence;
}

function noticeShow(sentence) {
  byId("notice").textContent = sentence;
  byId("notice").hidden = sentence === "";
}

/** Say something if a promise takes long, until it is settled. */
async function noticeIfSlow(promise, sentence) {
  const timer = setTimeout(() => noticeShow(sentence), SLOW_MS);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    noticeShow("");
  }
}

// --- A trial ---------------------------------------------------------------------------------------------------------

function progressShow({ phase, position, count }) {
  byId("progress-words").textContent = words(`progress-${phase}`, { position, count });
  byId("progress").max = count;
  byId("progress").value = position - 1;
  announce(words(`pair-${phase}`, { position, count }));
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
      resolve({ side, rtMs: Math.round(event.timeStamp - enabledAt), isByHand: event.isTrusted });
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

/** Draw the noise that follows a picture, at the scale of the pictures; it comes from the pair's place alone. */
function masksDraw({ phase, position }) {
  const room = Math.min(stage.clientWidth, stage.clientHeight) - 16;
  for (const [i, mask] of masks.entries()) {
    pictureDraw(mask, noise(display.size, `${phase} ${position} ${i}`), { ...display, room });
    pictureCentre(mask);
  }
}

/** Fetch a pair's pictures; where that takes very long, say so on a page of its own, and let the rater go on from it. */
async function picturesFetch(state) {
  const arriving = stimuli.get(state.trials[0]);
  let hasArrived = false;
  const arrived = arriving.then(
    () => (hasArrived = true),
    () => (hasArrived = true),
  );
  await noticeIfSlow(Promise.race([arrived, pause(VERY_SLOW_MS)]), words("slow"));
  if (!hasArrived) {
    const bar = byId("arrived");
    const show = () => {
      bar.value = stimuli.share(state.trials[0]);
      byId("arrived-words").textContent = words("arrived", { percent: Math.floor(100 * bar.value) });
    };
    show();
    const timer = setInterval(show, 250);
    panelShow("waiting");
    await arrived;
    clearInterval(timer);
    show();
    byId("arrived-go").toggleAttribute("hidden", false);
    announce(words("arrived-all"));
    await buttonWait(byId("arrived-go"));
    byId("arrived-go").toggleAttribute("hidden", true);
    panelShow("trial");
  }
  return arriving;
}

/** Show a pair and take the answer. */
async function trialRun(state) {
  const code = state.trials[0];
  panelShow("trial");
  progressShow(state);
  choiceEnable(false);
  stimuli.keep(state.trials);
  const pictures = await picturesFetch(state);
  await visibleWait();
  const watch = presenceWatch();
  const { scale, pixelRatio } = picturesDraw(pictures);
  masksDraw(state);

  const leadIn = showing(byId("fixation"), timing.lead_in_ms);
  const first = showing(canvases.first, timing.exposure_ms);
  const second = showing(canvases.second, timing.exposure_ms);
  const noises = masks.map((mask) => showing(mask, timing.mask_ms));
  const steps = [leadIn, first, ...noises, showing(null, timing.gap_ms), second, ...noises];
  watch.picturesBegin();
  const { shown, intervalMs } = await present(steps);
  watch.picturesEnd();

  await frameNext(); // The last picture has left the screen.
  choiceEnable(true);
  announce(words("choose"));
  const { side, rtMs, isByHand } = await choiceWait(performance.now());
  const { wasHidden, lostFocus, focusLosses } = watch.stop();
  const seen = (step) => shown[steps.indexOf(step)];
  return {
    trial: code,
    chosen_side: side,
    rt_ms: rtMs,
    exposure_first_ms: seen(first).ms,
    exposure_second_ms: seen(second).ms,
    frames_first: seen(first).frames,
    frames_second: seen(second).frames,
    frame_interval_ms: intervalMs,
    was_hidden: wasHidden,
    lost_focus: lostFocus,
    focus_losses: focusLosses,
    automation: automationSigns(isByHand),
    device_scale: scale,
    pixel_ratio: pixelRatio,
  };
}

/** Hand in an answer, however long the network takes. */
async function answerDeliver(answer) {
  const onTrouble = () => noticeShow(words("kept"));
  const sent = answerSend(addresses.answer, answer, { keepAs: keys.answer, onTrouble });
  return noticeIfSlow(sent, words("sending"));
}

/** Show both pictures of a practice pair side by side, and say which one the photo was. */
async function feedbackShow(pictures, { correct, photo_side: photoSide }) {
  const again = byId("again");
  const figures = [...again.querySelectorAll("figure")];
  for (const figure of figures) {
    const isPhoto = figure.dataset.side === photoSide;
    figure.classList.toggle("is-photo", isPhoto);
    figure.querySelector("figcaption span").textContent = words(isPhoto ? "is-photo" : "is-sample");
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
  const verdict = words(`${correct ? "right" : "miss"}-${photoSide}`);
  byId("verdict-words").textContent = verdict;
  announce(verdict);
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

function thanksShow({ completion_code: code, completion_url: url }) {
  memory.write(keys.session, { address: addresses.session, finished: true });
  byId("code").textContent = code;
  byId("code-card").hidden = code === "";
  byId("finish-card").hidden = url === "";
  byId("may-close").hidden = url !== "";
  if (url !== "") byId("finish").href = url;
  panelShow("thanks");
  byId("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code);
      byId("copied").textContent = words("copied");
    } catch {
      window.getSelection().selectAllChildren(byId("code"));
      byId("copied").textContent = words("copy-by-hand");
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
    byId("resume-words").textContent = words(`resume-${state.phase}`, state);
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
