/**
 * What makes the researcher's pages quicker to use. Every page works without it, save that it must be reloaded by hand.
 */

/** Ask the server now and then how far the study is; put its words and bars in place, or load a page that has changed. */
function follow(root) {
  async function ask() {
    if (!root.isConnected) {
      return; // Something else stands in its place by now.
    }
    let wait = Number(root.dataset.nextMs);
    try {
      const response = await fetch(root.dataset.live, { headers: { Accept: "application/json" } });
      if (response.redirected) {
        return; // Signed out: the page that is shown stays.
      }
      const { version, next_ms: next, texts, values, paths = {}, sources = {} } = await response.json();
      if (version !== root.dataset.version) {
        location.reload();
        return;
      }
      for (const element of root.querySelectorAll("[data-text]")) {
        element.textContent = texts[element.dataset.text] ?? element.textContent;
      }
      for (const element of root.querySelectorAll("[data-value]")) {
        element.value = values[element.dataset.value] ?? element.value;
      }
      for (const element of root.querySelectorAll("[data-path]")) {
        element.setAttribute("d", paths[element.dataset.path] ?? element.getAttribute("d"));
      }
      for (const element of root.querySelectorAll("[data-source]")) {
        const source = sources[element.dataset.source];
        if (source && source !== element.getAttribute("src")) {
          element.src = source;
        }
      }
      wait = next;
    } catch {
      wait *= 5; // The server is away: ask again later.
    }
    later(wait);
  }

  function later(wait) {
    if (wait) {
      setTimeout(() => (document.hidden ? later(wait) : ask()), wait);
    }
  }

  later(Number(root.dataset.nextMs));
}

/** Copy a field's text, and say so on the button. */
function copies(button) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Press Ctrl+C"; // No permission, or no secure connection; the text is selected.
    }
    setTimeout(() => (button.textContent = label), 2000);
  });
}

/** Make a short name from a title, until it is written by hand. */
function follows(slug) {
  const title = document.getElementById(slug.dataset.slugOf);
  let ours = slug.value;
  title.addEventListener("input", () => {
    if (slug.value !== ours) {
      return;
    }
    const letters = title.value.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
    slug.value = ours = letters.replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 50);
  });
}

/** Say before the upload that it is too much, since the server refuses such a request as a whole. */
function counts(form) {
  const most = Number(form.dataset.filesMost);
  const mostMb = Number(form.dataset.mbMost);
  const input = form.querySelector("input[type=file]");
  input.addEventListener("change", () => {
    const files = [...input.files];
    const mb = files.reduce((sum, file) => sum + file.size, 0) / 1e6;
    let wrong = "";
    if (files.length > most) {
      wrong = `These are ${files.length} files, of at most ${most}: pack them as a zip.`;
    } else if (mb > mostMb) {
      wrong = `These are ${Math.ceil(mb)} MB, of at most ${mostMb}: upload them in several parts.`;
    }
    input.setCustomValidity(wrong);
    input.reportValidity();
  });
}

/** Edit the list of conditions: show the fields of the chosen method; add, move and remove. */
function edits(form) {
  const list = form.querySelector("[data-list]");
  const total = form.querySelector(`[name=${form.dataset.prefix}-TOTAL_FORMS]`);

  function field(item, name) {
    return item.querySelector(`[name$="-${name}"]`);
  }

  function method(item) {
    const chosen = field(item, "method").value;
    for (const part of item.querySelectorAll("[data-for-method]")) {
      part.hidden = part.dataset.forMethod !== chosen;
    }
  }

  function kept() {
    return [...list.children].filter((item) => !item.hidden);
  }

  function number() {
    const items = kept();
    items.forEach((item, i) => {
      field(item, "ORDER").value = i + 1;
      item.querySelector("[data-number]").textContent = i + 1;
      item.querySelector("[data-move='-1']").disabled = i === 0;
      item.querySelector("[data-move='1']").disabled = i === items.length - 1;
    });
  }

  function prepare(item) {
    item.querySelector("[data-places]").hidden = true;
    item.querySelector("[data-moves]").hidden = false;
    method(item);
  }

  list.addEventListener("change", (event) => method(event.target.closest("[data-condition]")));
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const item = button?.closest("[data-condition]");
    if (button?.dataset.move) {
      const items = kept();
      const other = items[items.indexOf(item) + Number(button.dataset.move)];
      if (button.dataset.move === "1") {
        other.after(item);
      } else {
        other.before(item);
      }
      number();
      (button.disabled ? item.querySelector("[data-move]:not(:disabled)") : button).focus();
    } else if (button && "remove" in button.dataset) {
      field(item, "DELETE").checked = true;
      item.hidden = true;
      number();
      form.querySelector("[data-add]").focus();
    }
  });

  const add = form.querySelector("[data-add]");
  add.hidden = false;
  add.addEventListener("click", () => {
    const html = form.querySelector("[data-empty]").innerHTML.replaceAll("__prefix__", total.value);
    total.value = Number(total.value) + 1;
    list.insertAdjacentHTML("beforeend", html);
    const item = list.lastElementChild;
    prepare(item);
    number();
    field(item, "method").focus();
  });

  [...list.children].forEach(prepare);
  number();
}

/** Put the text of the chosen config into its field, unless the text there was written by hand. */
function fills(form) {
  const field = form.querySelector("textarea[name=config]");
  const texts = new Map([...form.querySelectorAll("[data-config]")].map((each) => [each.dataset.config, each.content.textContent]));
  form.addEventListener("change", ({ target }) => {
    if (target.name !== "config_name") {
      return;
    }
    const untouched = ["", ...texts.values()].some((text) => text.trim() === field.value.trim());
    if (untouched || confirm("Replace the config that you have changed?")) {
      field.value = texts.get(target.value);
    }
  });
}

/** Ask the server for the figures of the rules while their numbers are typed; a preset types them all. */
function judges(box) {
  const names = box.dataset.fields.split(" ");
  const form = box.closest("form");
  let timer;
  let newest = 0;

  async function ask() {
    const asked = ++newest;
    const query = new URLSearchParams(names.map((name) => [name, form.elements[name].value]));
    try {
      const response = await fetch(`${box.dataset.figures}?${query}`);
      const html = await response.text();
      if (asked === newest && response.ok && !response.redirected) {
        box.innerHTML = html; // Made by our own server, which escapes what was typed.
        box.querySelectorAll("[data-live]").forEach(follow);
        const said = form.querySelector("[data-said]");
        if (said) {
          said.textContent = box.querySelector("[data-headline]")?.innerText ?? ""; // All of it would be too much to hear.
        }
      }
    } catch {
      // The server is away: the figures that stand there stay.
    }
  }

  if (!names.every((name) => form.elements[name])) {
    return; // Nothing can be changed.
  }
  form.addEventListener("input", ({ target }) => {
    if (names.includes(target.name)) {
      clearTimeout(timer);
      timer = setTimeout(ask, 250);
    }
  });
  const presets = form.querySelector("[data-rules]");
  if (!presets) {
    return;
  }
  presets.hidden = false;
  presets.addEventListener("click", ({ target }) => {
    for (const [name, value] of Object.entries(JSON.parse(target.dataset.values ?? "{}"))) {
      form.elements[name].value = value;
      form.elements[name].dispatchEvent(new Event("input", { bubbles: true }));
    }
  });
}

/** Show a text in Markdown as raters will see it, when asked, and from then on as it is typed. */
function previews(box) {
  const field = box.parentElement.querySelector("textarea");
  const [button, shown] = box.children;
  let timer;
  let newest = 0;

  async function ask() {
    const asked = ++newest;
    const token = field.form.elements.csrfmiddlewaretoken.value;
    const body = new URLSearchParams({ text: field.value, csrfmiddlewaretoken: token });
    try {
      const response = await fetch(box.dataset.written, { method: "POST", body });
      const html = await response.text();
      if (asked === newest && response.ok && !response.redirected) {
        shown.innerHTML = html; // Made by our own server, from a list of what may stand in it.
        shown.hidden = false;
      }
    } catch {
      // The server is away: what is shown stays.
    }
  }

  box.hidden = false;
  button.addEventListener("click", () => {
    const isOpen = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!isOpen));
    button.textContent = isOpen ? "Preview" : "Close the preview";
    shown.hidden = true;
    newest++;
    if (!isOpen) {
      ask();
    }
  });
  field.addEventListener("input", () => {
    clearTimeout(timer);
    if (button.getAttribute("aria-expanded") === "true") {
      timer = setTimeout(ask, 250);
    }
  });
}

document.querySelectorAll("[data-live]").forEach(follow);
document.querySelectorAll("[data-copy]").forEach(copies);
document.querySelectorAll("[data-slug-of]").forEach(follows);
document.querySelectorAll("[data-files-most]").forEach(counts);
document.querySelectorAll("[data-conditions]").forEach(edits);
document.querySelectorAll("[data-config-form]").forEach(fills);
document.querySelectorAll("[data-figures]").forEach(judges);
document.querySelectorAll("[data-written]").forEach(previews);
