"use strict";
const find = (selector) => document.querySelector(selector);
const article = find(".photo");
const explained = new Map(); // what was computed of words, by what was asked
const state = { photo: null, name: "", caption: null, words: [], isEdited: false, place: null, view: "heatmap", preferred: "" };
let choices = { captioners: [], examples: [], most_bytes: 0, most_photos: 0 };
const running = {}; // what stops the question that is being answered, by its kind
const doing = {}; // what the status says of it
let methods = [];

class Refusal extends Error {} // its message is for the reader

// Questions

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server does not answer. Is it still running?");
  }
  if (!response.ok) {
    const answer = await response.json().catch(() => ({}));
    throw new Refusal(answer.error ?? `The server refused (${response.status}).`);
  }
  return response;
}

async function* readLines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

// A new question stops the one before; only a report is written beside others. While
// others are served first, the page says so.
async function ask(path, details, text, onCaption = () => {}) {
  const kind = path === "report" ? "report" : "word";
  running[kind]?.abort();
  const mine = running[kind] = new AbortController();
  const question = { photo: state.photo, captioner: find("#captioner").value, ...details };
  const say = (said) => { if (running[kind] === mine) showStatus(kind, said); };
  try {
    say(text);
    const response = await request(path, { method: "POST", body: JSON.stringify(question), signal: mine.signal });
    for await (const event of readLines(response)) {
      if ("error" in event) throw new Refusal(event.error);
      if ("done" in event) return event.done;
      if ("waiting" in event) say(event.waiting ? waiting(event.waiting) : text);
      if ("loading" in event) say(`Loading the captioner ${event.loading} …`);
      if ("caption" in event) { say(text); onCaption(event.caption); }
    }
    throw new Refusal("The server stopped before it had answered.");
  } finally {
    say("");
    if (running[kind] === mine) delete running[kind];
  }
}

function waiting(count) {
  return count === 1 ? "Waiting: another computation comes first …"
    : `Waiting: ${count} other computations come first …`;
}

function showStatus(kind, text) {
  doing[kind] = text;
  find("#status").textContent = Object.values(doing).filter(Boolean).join(" ");
  article.classList.toggle("busy", find("#status").textContent !== "");
}

function showError(text) {
  find("#error").textContent = text;
  find("#error").hidden = text === "";
  if (text) find("#error").scrollIntoView({ block: "nearest" });
}

// Does something that the reader asked for; what is refused is shown as one sentence.
function attempt(work) {
  return async (...given) => {
    showError("");
    try {
      await work(...given);
    } catch (error) {
      if (error.name === "AbortError") return; // another question took its place
      if (!(error instanceof Refusal)) console.error(error);
      showError(error instanceof Refusal ? error.message : "The page failed. Reload it.");
    }
  };
}

// The photograph

const takePhoto = attempt(async (file, captioner = state.preferred) => {
  running.word?.abort();
  if (file.size > choices.most_bytes)
    throw new Refusal(`${file.name} is too large: at most ${choices.most_bytes / 1e6} MB are taken. Send a smaller file.`);
  const name = encodeURIComponent(file.name.slice(0, 100));
  const response = await request(`photos?name=${name}`, { method: "POST", body: file });
  state.photo = (await response.json()).photo;
  state.name = file.name;
  find("#captioner").value = captioner;
  showPhoto(file);
  try {
    await describePhoto(null);
  } catch (error) {
    if (error instanceof Refusal) article.hidden = true;
    throw error;
  }
});

function showPhoto(file) {
  const base = find(".stage .base");
  URL.revokeObjectURL(base.src);
  base.src = URL.createObjectURL(file);
  base.alt = "the photograph";
  base.hidden = false;
  explained.clear();
  article.hidden = false;
  article.scrollIntoView({ block: "nearest" });
}

function frame(width, height) {
  find(".stage").style.setProperty("--ratio", width / height);
}

// The caption

async function describePhoto(text) {
  if (text === null) {
    forgetWord();
    writeWords([]);
  }
  const found = await ask("caption", { caption: text },
    text === null ? "Looking at the photograph …" : "Reading the caption …",
    (caption) => text === null && writeWords(caption.split(" ")));
  forgetWord();
  Object.assign(state, { caption: found.caption, words: found.words, isEdited: text !== null });
  find(".stage .base").alt = "the photograph: " + found.caption;
  fillMethods(found.methods);
  buildWords();
  find("#edit").hidden = true;
  find("#own").hidden = !state.isEdited;
}

// The best caption so far, before it is finished.
function writeWords(words) {
  const before = [...find(".caption").children].map((chip) => chip.firstChild?.textContent);
  const chips = words.filter(Boolean).map((word, place) => {
    const kind = before[place] === word ? "chip" : "chip written";
    return element("span", { class: kind }, element("span", {}, word), element("small"));
  });
  find(".caption").replaceChildren(...chips, element("i", { class: "cursor" }));
}

function buildWords() {
  const parts = (word) => [element("span", {}, word), element("small")];
  const chips = state.words.map((word, place) => {
    const chip = element("button", { type: "button", class: "chip" }, ...parts(word));
    chip.addEventListener("click", () => explainWord(place));
    chip.tabIndex = place ? -1 : 0;
    return chip;
  });
  find(".caption").replaceChildren(element("span", { class: "chip" }, ...parts("<start>")), ...chips);
  find(".detail").replaceChildren(element("p", { class: "quiet hint" },
    "Click a word to see which pixels and which words before it made the captioner write it. Only that word is computed."));
}

function walk(event) {
  const chips = [...find(".caption").querySelectorAll("button")];
  const place = chips.indexOf(document.activeElement);
  const steps = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: chips.length - 1 };
  if (!(event.key in steps) || place < 0) return;
  event.preventDefault();
  const next = chips[Math.min(Math.max(steps[event.key], 0), chips.length - 1)];
  for (const chip of chips) chip.tabIndex = chip === next ? 0 : -1;
  next.focus();
}

function fillMethods(found) {
  const select = find("#method"), before = select.value;
  methods = found;
  select.replaceChildren(...found.map(({ name, label }) => element("option", { value: name }, label)));
  if (found.some(({ name }) => name === before)) select.value = before;
}

// A word

function keyOf(place) {
  const { photo, caption } = state;
  return JSON.stringify([photo, caption, place, ...["#captioner", "#method", "#contrast"].map((one) => find(one).value)]);
}

const explainWord = attempt(async (place) => {
  const key = keyOf(place), word = state.words[place];
  state.place = place;
  const chips = find(".caption").querySelectorAll("button");
  chips.forEach((chip, other) => chip.toggleAttribute("aria-busy", false) || chip.setAttribute("aria-pressed", other === place));
  try {
    if (!explained.has(key)) {
      chips[place].setAttribute("aria-busy", "true");
      const details = { caption: state.caption, place, method: find("#method").value, contrast: find("#contrast").value.trim() };
      explained.set(key, await ask("explanation", details, `Explaining “${word}” …`));
    } else {
      running.word?.abort();
    }
  } finally {
    chips[place].removeAttribute("aria-busy");
  }
  showWord();
});

function showWord() {
  const record = explained.get(keyOf(state.place));
  if (!record) return;
  const [method] = record.methods, [word] = method.words;
  const base = find(".stage .base");
  if (base.hidden) { // the browser cannot show this kind of file
    base.src = record.image;
    base.hidden = false;
  }
  find(".stage").classList.add("shown");
  find(".stage .layer").hidden = false;
  drawWord(article, record.images, word, state.view);
  const summary = methods.find(({ name }) => name === method.name)?.summary ?? "";
  find(".detail").append(element("p", { class: "quiet method" }, element("b", {}, method.label), ": ", summary));
  find(".caption").querySelectorAll("button").forEach((chip, place) => chip.classList.toggle("known", explained.has(keyOf(place))));
}

function forgetWord() {
  state.place = null;
  find(".stage").classList.remove("shown");
  find(".stage .layer").hidden = true;
  find(".views").hidden = true;
  find(".detail").replaceChildren();
}

function explainAgain() {
  if (state.place !== null) explainWord(state.place);
}

// The report of all words

const download = attempt(async () => {
  const details = { caption: state.caption, method: find("#method").value, contrast: find("#contrast").value.trim() };
  const link = element("a", { download: state.name.replace(/\.[^.]*$/, "") + "-report.html" });
  const page = await ask("report", details, "Explaining every word for the report …");
  link.href = URL.createObjectURL(new Blob([page], { type: "text/html" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
});

// The beginning

function buildExamples() {
  find("#examples").replaceChildren(...choices.examples.map(({ name, captioner }) => {
    const button = element("button", { type: "button" },
      element("img", { src: `examples/${name}`, alt: "", loading: "lazy" }), name,
      ...(captioner ? [element("small", {}, "a rendered scene")] : []));
    button.addEventListener("click", attempt(async () => {
      const blob = await (await request(`examples/${name}`)).blob();
      await takePhoto(new File([blob], name, { type: blob.type }), captioner || state.preferred);
    }));
    return button;
  }));
}

function takeFirst(files) {
  const file = [...files].find(({ type }) => type.startsWith("image/")) ?? files[0];
  if (file) takePhoto(file);
  else showError("There is no file in it. Drop a photograph, not its address.");
}

function listenToPage() {
  find("#drop input").addEventListener("change", ({ target }) => {
    if (target.files.length) takePhoto(target.files[0]);
    target.value = "";
  });
  addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dragging"); });
  addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dragging"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    takeFirst(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => event.clipboardData.files.length && takeFirst(event.clipboardData.files));
}

function listenToArticle() {
  const again = attempt(() => describePhoto(state.isEdited ? state.caption : null));
  find("#captioner").addEventListener("change", ({ target }) => { state.preferred = target.value; again(); });
  find("#method").addEventListener("change", explainAgain);
  find("#contrast").addEventListener("change", explainAgain);
  find(".caption").addEventListener("keydown", walk);
  find("#rewrite").addEventListener("click", () => {
    find("#edit").hidden = false;
    find("#text").value = state.caption;
    find("#text").focus();
  });
  find("#cancel").addEventListener("click", () => { find("#edit").hidden = true; });
  find("#edit").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(describePhoto)(find("#text").value);
  });
  find("#own").addEventListener("click", () => attempt(describePhoto)(null));
  find("#report").addEventListener("click", download);
  for (const button of find(".views").children)
    button.addEventListener("click", () => { state.view = button.dataset.view; showWord(); });
  const base = find(".stage .base");
  base.addEventListener("load", () => frame(base.naturalWidth, base.naturalHeight));
  base.addEventListener("error", () => { base.hidden = true; });
  listenToSlider(article);
}

const begin = attempt(async () => {
  choices = await (await request("choices")).json();
  find("#captioner").replaceChildren(...choices.captioners.map((name) => element("option", {}, name)));
  state.preferred = choices.captioners[0];
  buildExamples();
  find("footer").textContent = `Photographs stay in the memory of this server, the last ${choices.most_photos} of them, until it ends. ` +
    "Nothing is written to a disk, and nothing is sent elsewhere.";
});

listenToPage();
listenToArticle();
begin();
