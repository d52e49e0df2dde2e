// What the live page asks the server, one question after the other.
"use strict";
const find = (selector) => document.querySelector(selector);
const article = find(".photo");
const running = {}; // what stops the question that is being answered, by its kind
const doing = {}; // what the status says of it
const STOPPED = "The server stopped before it had answered.";

class Refusal extends Error {} // its message is for the reader

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
    const { value, done } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Refusal(STOPPED);
    });
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

// A new question stops the one before; only a report is written beside others. While
// others are served first, the page says so.
async function ask(path, question, text, onCaption = () => {}) {
  const kind = path === "report" ? "report" : "word";
  running[kind]?.abort();
  const mine = running[kind] = new AbortController();
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
    throw new Refusal(STOPPED);
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
