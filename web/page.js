// What the reader does on the live page, and what is then shown.
"use strict";
const explained = new Map(); // what was computed of words, by what was asked
const state = {
  photo: null, name: "", // the key of the photograph, and the name of its file
  caption: null, words: [], isEdited: false,
  first: null, last: null, anchor: 0, // the words that are chosen, and where Shift began
  record: null, isCompared: false, // what is shown, and whether it compares two captions
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
  if (chosen().against) find("#contrast").value = ""; // it was about another photograph
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
  showOwnWords();
  find("#edit").hidden = true;
  find("#own").hidden = !state.isEdited;
  find(".actions").hidden = false;
  find("#author").replaceChildren(state.isEdited ? "Your text" : "The captioner wrote",
    element("span", { class: "unseen" }, ": " + state.caption));
  if (chosen().against) await compare();
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

function showOwnWords() {
  buildWords(["<start>", ...state.words], new Map(state.words.map((_, row) => [row + 1, row])));
  find(".detail").replaceChildren(element("p", { class: "quiet hint" },
    "Click a word to see which pixels and which words before it made the captioner write it. " +
    "Draw over several to explain them as one. Only what you choose is computed."));
}

// Places of the sentence that belong to no row cannot be chosen.
function buildWords(sentence, rows) {
  find(".caption").replaceChildren(...sentence.map((word, place) => {
    const parts = [element("span", {}, word), element("small")];
    if (!rows.has(place)) return element("span", { class: "chip" }, ...parts);
    const chip = element("button", { type: "button", class: "chip", "data-row": rows.get(place) }, ...parts);
    // A key has no detail; it takes the words that Shift has chosen.
    chip.addEventListener("click", ({ detail }) => choose(detail ? rowOf(chip) : state.anchor, rowOf(chip)));
    return chip;
  }));
  chips().forEach((chip, place) => { chip.tabIndex = place ? -1 : 0; });
  state.anchor = 0;
}

function rowOf(chip) {
  return Number(chip.dataset.row);
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
  if (event.shiftKey && !state.isCompared) press(state.anchor, rowOf(next));
  else state.anchor = rowOf(next);
  for (const chip of chips()) chip.tabIndex = chip === next ? 0 : -1;
  next.focus();
}

function fillMethods(found) {
  const select = find("#method"), before = select.value;
  methods = found;
  select.replaceChildren(...found.map(({ name, label }) => element("option", { value: name }, label)));
  if (found.some(({ name }) => name === before)) select.value = before;
}

// Words, phrases, and another caption

// What is asked about words that follow each other, besides the photograph.
function questionOf(first, last) {
  const [place, end] = [Math.min(first, last), Math.max(first, last)];
  return { caption: state.caption, place, count: end - place + 1, ...chosen() };
}

// The field of the contrast takes one word, or a caption to compare with.
function chosen() {
  const [captioner, method, other] = ["#captioner", "#method", "#contrast"].map((one) => find(one).value.trim());
  const isCaption = /\s/.test(other);
  return { photo: state.photo, captioner, method,
    contrast: isCaption ? "" : other, against: isCaption ? other : null };
}

const choose = attempt(async (first, last) => {
  if (!chosen().against) await explainWords(first, last);
  else if (state.isCompared) showRow(last);
  else await compare();
});

async function explainWords(first, last) {
  const before = [state.first, state.last], question = questionOf(first, last);
  const { place, count } = question;
  const busy = chips().slice(place, place + count);
  press(first, last);
  for (const chip of busy) chip.setAttribute("aria-busy", "true");
  try {
    await explain(question, `Explaining “${state.words.slice(place, place + count).join(" ")}” …`);
  } catch (error) {
    if (error instanceof Refusal) press(...before);
    throw error;
  } finally {
    for (const chip of busy) chip.removeAttribute("aria-busy");
  }
  showRow(0);
}

async function compare() {
  await explain(questionOf(0, 0), "Comparing the captions …");
  const [{ sentence, words }] = state.record.methods;
  state.isCompared = true;
  buildWords(sentence, rowsByChip(words));
  showRow(0);
}

// Asks once for each question, and keeps the answer.
async function explain(question, text) {
  const key = JSON.stringify(question);
  running.word?.abort();
  if (!explained.has(key)) explained.set(key, await ask("explanation", question, text));
  state.record = explained.get(key);
}

function press(first, last) {
  Object.assign(state, { first, last, anchor: first ?? state.anchor });
  const isChosen = (row) => first !== null && row >= Math.min(first, last) && row <= Math.max(first, last);
  for (const chip of chips()) chip.setAttribute("aria-pressed", isChosen(rowOf(chip)));
}

function showRow(row) {
  const { record } = state, [method] = record.methods, word = method.words[row];
  if (state.isCompared) press(row, row);
  const base = find(".stage .base");
  if (base.hidden) { // the browser cannot show this kind of file
    base.src = record.image;
    base.hidden = false;
  }
  find(".stage").classList.add("shown");
  find(".stage .layer").hidden = false;
  drawWord(article, record.images, word, state.view, method.compares);
  const summary = methods.find(({ name }) => name === method.name)?.summary ?? "";
  find(".detail").append(element("p", { class: "quiet method" }, element("b", {}, method.label), ": ", summary));
  chips().forEach((chip, row) => chip.classList.toggle("known", state.isCompared || explained.has(JSON.stringify(questionOf(row, row)))));
}

function forgetWord() {
  Object.assign(state, { first: null, last: null, record: null, isCompared: false });
  find(".stage").classList.remove("shown");
  find(".stage .layer").hidden = true;
  find(".views").hidden = true;
  find(".detail").replaceChildren();
}

const explainAgain = attempt(async () => {
  if (state.caption === null) return;
  if (chosen().against) await compare();
  else if (state.isCompared) {
    forgetWord();
    showOwnWords();
  } else if (state.first !== null) await explainWords(state.first, state.last);
});

// The report of all words

const download = attempt(async () => {
  const link = element("a", { download: state.name.replace(/\.[^.]*$/, "") + "-report.html" });
  const page = await ask("report", questionOf(0, 0), "Explaining every word for the report …");
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
  const ifOwn = (work) => (...rows) => state.caption === null || state.isCompared || work(...rows);
  listenToDrawing(find(".caption"), ifOwn(press), ifOwn(choose));
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
    button.addEventListener("click", () => {
      state.view = button.dataset.view;
      showRow(state.isCompared ? state.first : 0);
    });
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
