/**
 * Lead a rater through a session: instructions, practice with feedback, the pairs that count, thanks.
 *
 * The server owns the position. Its state stands in the page and comes back with each answer; nothing here knows which
 * picture is the photo before the server says so in practice.
 */

import { visibleSeconds } from "./onward.js";
import { noise, pictureCentre, pictureDraw } from "./pictures.js";
import { automationSigns, presenceWatch, visibleWait } from "./presence.js";
import { frameNext, pause, present } from "./timing.js";
import { Refused, Stimuli, answerSend, memory } from "./transport.js";
import { words } from "./words.js";

const { display, timing, addresses, keys, passage } = JSON.parse(document.getElementById("state").textContent);

const byId = (id) => document.getElementById(id);
const stage = byId("stage");
const isSequential = display.layout === "sequential";
const NAMES = { input_between: ["first", "between", "second"], single: ["first"] };
const names = NAMES[display.layout] ?? ["first", "second"];
const canvases = Object.fromEntries(names.map((name) => [name, byId(name)]));
const choiceButtons = { first: byId("choose-first"), second: byId("choose-second") };
const masks = Array.from({ length: timing.mask_count }, (_, i) =>
  Object.fromEntries(names.map((name) => [name, maskMake(`mask-${name}-${i}`, canvases[name].parentElement)])),
);
const SIDE_OF_KEY = { ArrowLeft: "first", 1: "first", ArrowRight: "second", 2: "second" };

const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent" });

const SLOW_MS = 1500;
const VERY_SLOW_MS = 8000;

const stimuli = new Stimuli(addresses.stimulus, display.size, names);

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

/** Add a canvas for noise beside the one of a picture. */
function maskMake(id, slot) {
  return slot.appendChild(Object.assign(document.createElement("canvas"), { id, ariaHidden: "true" }));
}

/** Draw a picture in the middle of its slot, unseen yet; returns its scale and the screen's pixel ratio. */
function slotDraw(canvas, picture) {
  const slot = canvas.parentElement;
  const room = Math.min(slot.clientWidth, slot.clientHeight) - 16;
  const scales = pictureDraw(canvas, picture, { ...display, room });
  pictureCentre(canvas);
  return scales;
}

/** Draw the pictures of a trial; returns the scale that all of them got and the screen's pixel ratio. */
function picturesDraw(pictures) {
  const [drawn] = names.map((name) => slotDraw(canvases[name], pictures[name]));
  return drawn;
}

/** Draw the noise that follows the pictures; it comes from the pair's place alone. */
function masksDraw({ phase, position }) {
  for (const [i, mask] of masks.entries()) {
    const pattern = noise(display.size, `${phase} ${position} ${i}`);
    for (const name of names) slotDraw(mask[name], pattern);
  }
}

/** A step of a trial that shows some things, or none, for a time. */
function showing(elements, durationMs) {
  return {
    durationMs,
    enter: () => elements.forEach((element) => element.classList.add("is-shown")),
    leave: () => elements.forEach((element) => element.classList.remove("is-shown")),
  };
}

/** Return what a trial shows: its steps, and the step of each of the two pictures; a picture alone has no second. */
function stepsMake(exposureMs) {
  const marks = document.querySelectorAll(".fixation"); // one, or a countdown
  const leadIn = Array.from(marks, (mark) => showing([mark], timing.lead_in_ms / marks.length));
  const maskSteps = (shown) => masks.map((mask) => showing(shown.map((name) => mask[name]), timing.mask_ms));
  if (!isSequential) {
    const all = showing(Object.values(canvases), exposureMs);
    return { steps: [...leadIn, all, ...maskSteps(names)], first: all, second: names.includes("second") ? all : null };
  }
  const [first, second] = names.map((name) => showing([canvases[name]], exposureMs));
  const gap = showing([], timing.gap_ms);
  const steps = [...leadIn, first, ...maskSteps(["first"]), gap, second, ...maskSteps(["second"])];
  return { steps, first, second };
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

/** Say on the page of a slow network that pictures are on their way, or that they are there. */
function arrivalShow(hasArrived) {
  const parts = document.querySelectorAll("[data-arrived]");
  for (const part of parts) part.hidden = (part.dataset.arrived === "yes") !== hasArrived;
  if (hasArrived) document.querySelector('h1[data-arrived="yes"]').focus({ preventScroll: true });
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
      byId("arrived-words").textContent = words("arrived", { share: percent.format(Math.floor(100 * bar.value) / 100) });
    };
    show();
    const timer = setInterval(show, 250);
    arrivalShow(false);
    panelShow("waiting");
    await arrived;
    clearInterval(timer);
    await arriving; // what was refused leads elsewhere
    show();
    arrivalShow(true);
    await buttonWait(byId("arrived-go"));
    panelShow("trial");
  }
  return arriving;
}

/** Take the choice from now on. */
function choiceTake() {
  choiceEnable(true);
  announce(words("choose"));
  return choiceWait(performance.now());
}

/** Show a pair and take the answer: after it, or where pictures have no limit while they are up. */
async function trialRun(state) {
  const code = state.trials[0];
  panelShow("trial");
  progressShow(state);
  choiceEnable(false);
  stimuli.keep(state.trials);
  const pictures = await picturesFetch(state);
  await visibleWait();
  const watch = presenceWatch();
  let drawn;
  const draw = () => {
    drawn = picturesDraw(pictures);
    masksDraw(state);
  };
  draw();
  window.addEventListener("resize", draw); // a phone may be turned while pictures are up

  const { steps, first, second } = stepsMake(state.exposure_ms);
  watch.picturesBegin();
  let choice;
  if (state.exposure_ms === 0) first.until = () => (choice = choiceTake());
  const { shown, intervalMs } = await present(steps);
  watch.picturesEnd();
  window.removeEventListener("resize", draw);
  if (choice === undefined) {
    await frameNext(); // The last picture has left the screen.
    choice = choiceTake();
  }
  const { side, rtMs, isByHand } = await choice;
  const { wasHidden, lostFocus, focusLosses } = watch.stop();
  const [seenFirst, seenSecond] = [first, second].map((step) => shown[steps.indexOf(step)]); // of no step, undefined
  return {
    trial: code,
    chosen_side: side,
    rt_ms: rtMs,
    exposure_first_ms: seenFirst.ms,
    exposure_second_ms: seenSecond?.ms ?? null,
    frames_first: seenFirst.frames,
    frames_second: seenSecond?.frames ?? null,
    frame_interval_ms: intervalMs,
    was_hidden: wasHidden,
    lost_focus: lostFocus,
    focus_losses: focusLosses,
    automation: automationSigns(isByHand),
    device_scale: drawn.scale,
    pixel_ratio: drawn.pixelRatio,
  };
}

/** Hand in an answer, however long the network takes. */
async function answerDeliver(answer) {
  const onTrouble = () => noticeShow(words("kept"));
  const sent = answerSend(addresses.answer, answer, { keepAs: keys.answer, onTrouble });
  return noticeIfSlow(sent, words("sending"));
}

/** Say whether an answer was right, where the choice was. */
function verdictShow({ correct, photo_side: photoSide }) {
  byId("verdict").classList.toggle("is-miss", !correct);
  byId("verdict-right").toggleAttribute("hidden", !correct);
  byId("verdict-miss").toggleAttribute("hidden", correct);
  const verdict = words(`${correct ? "right" : "miss"}-${photoSide}`);
  byId("verdict-words").textContent = verdict;
  announce(verdict);
  byId("choice").classList.add("is-away");
  byId("feedback").classList.remove("is-away");
}

function verdictHide() {
  byId("choice").classList.remove("is-away");
  byId("feedback").classList.add("is-away");
}

/** Say for a moment whether an answer that counts was right, without its pictures. */
async function verdictFlash(feedback) {
  byId("next").classList.add("is-away");
  verdictShow(feedback);
  await pause(timing.telling_ms);
  verdictHide();
  byId("next").classList.remove("is-away");
}

/** Show the pictures of a practice pair side by side, or the one that was shown, and say which one the photo was. */
async function feedbackShow(pictures, feedback) {
  const again = byId("again");
  const figures = [...again.querySelectorAll("figure")];
  for (const figure of figures) {
    const isPhoto = figure.dataset.side === feedback.photo_side;
    figure.classList.toggle("is-photo", isPhoto);
    figure.querySelector("figcaption span").textContent = words(isPhoto ? "from-camera" : "from-computer");
  }
  const draw = () => {
    const captionHeight = figures[0].querySelector("figcaption").offsetHeight;
    const room = Math.min(figures[0].clientWidth - 16, stage.clientHeight - captionHeight - 24);
    for (const figure of figures) {
      pictureDraw(figure.querySelector("canvas"), pictures[figure.dataset.side], { ...display, room });
    }
  };
  draw();
  window.addEventListener("resize", draw);
  again.classList.remove("is-away");
  verdictShow(feedback);
  byId("next").focus({ preventScroll: true });
  await buttonWait(byId("next"));
  window.removeEventListener("resize", draw);
  verdictHide();
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
  byId("copy").classList.toggle("button-quiet", url !== ""); // one thing to do: to go back
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

/** Go where the finish button leads by itself, after some seconds that the rater may stop. */
async function onwardLead() {
  const onward = byId("onward");
  const seconds = Number(onward.dataset.seconds);
  let isStopped = false;
  const stop = () => {
    isStopped = true;
    onward.hidden = true;
  };
  byId("copy").addEventListener("click", stop);
  byId("stay").addEventListener("click", () => {
    stop();
    byId("finish").focus();
  });
  onward.hidden = false;
  byId("onward-bar").hidden = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  byId("onward-words").textContent = words("onward", { seconds });
  const onStep = (share) => (byId("onward-bar").value = share);
  if (await visibleSeconds(seconds, { onStep, isStopped: () => isStopped })) byId("finish").click();
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
  const entered = state;
  memory.write(keys.session, { address: addresses.session, finished: state.phase === "finished" });
  stimuli.keep(state.trials);
  if (state.phase !== "finished" && state.is_first) await panelPass("instructions");
  else if (state.phase !== "finished" && !state.is_phase_start) {
    byId("resume-words").textContent = words(`resume-${state.phase}`, state);
    await panelPass("resume");
  }
  while (state.phase !== "finished" && state.phase !== "failed") {
    if (state.phase === "practice" && state.is_phase_start && !state.is_first) await panelPass("practice-again");
    if (state.phase === "main" && state.is_phase_start && !state.is_first) await panelPass("interstitial");
    if (state.is_block_start && !state.is_phase_start && state !== entered) {
      byId("block-words").textContent = words("block", state);
      await panelPass("block");
    }
    const isPractice = state.phase === "practice";
    const answer = await trialRun(state);
    const pictures = await stimuli.get(answer.trial);
    const reply = await answerDeliver(answer);
    state = reply.passage;
    if (reply.pictures) stimuli.bring(reply.pictures);
    stimuli.keep(state.trials);
    if (reply.feedback !== null) await (isPractice ? feedbackShow(pictures, reply.feedback) : verdictFlash(reply.feedback));
  }
  if (state.phase === "failed") window.location.reload(); // The server says what now.
  else thanksShow(state);
  // Who comes back to this page afterwards is not sent away again.
  if (state.completion_url && passage.phase !== "finished") await onwardLead();
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
