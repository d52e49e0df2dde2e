// What the reader does on the live page, and what is then shown.
"use strict";
const explained = new Map(); // what was computed of words, by what was asked
const state = {
  photo: null, name: "", // the key of the photograph, and the name of its file
  caption: null, words: [], isEdited: false,
  place: null, record: null, // the word that is chosen, and what is shown of it
  view: "heatmap", preferred: "",
};
let choices = { captioners: [], examples: [], most_bytes: 0, most_photos: 0 };
let methods = [];

// The photograph

const takePhoto = attempt(async (file, captioner = state.preferred) => {
  running.word?.abort();
  if (file.size > choices.most_bytes)
    throw new Refusal(`${file.name} is too large: at most ${choices.most_bytes / 1e6} MB are taken. Send a smaller file.`);
  const name = encodeURIComponent([...file.name].slice(0, 100).join(""));
  const mine = running.word = new AbortController();
  showStatus("word", "");
  const response = await request(`photos?name=${name}`, { method: "POST", body: file, signal: mine.signal });
  Object.assign(state, { photo: (await response.json()).photo, name: file.name });
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
  if (text === null) forgetCaption();
  const found = await ask("caption", { caption: text, ...chosen() },
    text === null ? "Looking at the photograph …" : "Reading the caption …",
    (caption) => text === null && writeWords(caption.split(" ")),
  ).catch((error) => {
    if (error instanceof Refusal && text === null) find(".caption").replaceChildren();
    throw error;
  });
  forgetWord();
  Object.assign(state, { caption: found.caption, words: found.words, isEdited: text !== null });
  find(".stage .base").alt = "the photograph: " + found.caption;
  fillMethods(found.methods);
  buildWords();
  find("#edit").hidden = true;
  find("#own").hidden = !state.isEdited;
  find(".actions").hidden = false;
  find("#author").replaceChildren(state.isEdited ? "Your text" : "The captioner wrote",
    element("span", { class: "unseen" }, ": " + state.caption));
}

function forgetCaption() {
  state.caption = null;
  forgetWord();
  writeWords([]);
  find("#author").replaceChildren();
  find("#edit").hidden = find(".actions").hidden = true;
}

// The best caption so far, before it is finished.
function writeWords(words) {
  const before = [...find(".caption").children].map((chip) => chip.firstChild?.textContent);
  const written = words.filter(Boolean).map((word, place) => {
    const kind = before[place] === word ? "chip" : "chip written";
    return element("span", { class: kind }, element("span", {}, word), element("small"));
  });
  find(".caption").replaceChildren(...written, element("i", { class: "cursor" }));
}

function buildWords() {
  const parts = (word) => [element("span", {}, word), element("small")];
  const buttons = state.words.map((word, place) => {
    const chip = element("button", { type: "button", class: "chip" }, ...parts(word));
    chip.addEventListener("click", () => explainWord(place));
    chip.tabIndex = place ? -1 : 0;
    return chip;
  });
  find(".caption").replaceChildren(element("span", { class: "chip" }, ...parts("<start>")), ...buttons);
  find(".detail").replaceChildren(element("p", { class: "quiet hint" },
    "Click a word to see which pixels and which words before it made the captioner write it. Only that word is computed."));
}

function chips() {
  return [...find(".caption").querySelectorAll("button")];
}

function walk(event) {
  const place = chips().indexOf(document.activeElement), last = chips().length - 1;
  const steps = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: last };
  if (!(event.key in steps) || place < 0) return;
  event.preventDefault();
  const next = chips()[Math.min(Math.max(steps[event.key], 0), last)];
  for (const chip of chips()) chip.tabIndex = chip === next ? 0 : -1;
  next.focus();
}

function fillMethods(found) {
  const select = find("#method"), before = select.value;
  methods = found;
  select.replaceChildren(...found.map(({ name, label }) => element("option", { value: name }, label)));
  if (found.some(({ name }) => name === before)) select.value = before;
}

// A word

// What is asked about a word, besides the photograph.
function questionOf(place) {
  return { caption: state.caption, place, ...chosen() };
}

function chosen() {
  const [captioner, method, contrast] = ["#captioner", "#method", "#contrast"].map((one) => find(one).value.trim());
  return { photo: state.photo, captioner, method, contrast };
}

const explainWord = attempt(async (place) => {
  const question = questionOf(place), key = JSON.stringify(question);
  const before = state.place, [chip, word] = [chips()[place], state.words[place]];
  press(place);
  running.word?.abort();
  if (!explained.has(key)) {
    chip.setAttribute("aria-busy", "true");
    try {
      explained.set(key, await ask("explanation", question, `Explaining “${word}” …`));
    } catch (error) {
      if (error instanceof Refusal) press(before);
      throw error;
    } finally {
      chip.removeAttribute("aria-busy");
    }
  }
  state.record = explained.get(key);
  showWord();
});

function press(place) {
  state.place = place;
  chips().forEach((chip, other) => chip.setAttribute("aria-pressed", other === place));
}

function showWord() {
  const { record } = state, [method] = record.methods, [word] = method.words;
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
  chips().forEach((chip, place) => chip.classList.toggle("known", explained.has(JSON.stringify(questionOf(place)))));
}

function forgetWord() {
  state.place = state.record = null;
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
  const link = element("a", { download: state.name.replace(/\.[^.]*$/, "") + "-report.html" });
  const page = await ask("report", questionOf(0), "Explaining every word for the report …");
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
  const explainText = attempt(async (text) => {
    await describePhoto(text);
    chips()[0].focus();
  });
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
    explainText(find("#text").value);
  });
  find("#own").addEventListener("click", () => explainText(null));
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
