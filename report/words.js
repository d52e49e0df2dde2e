// How one word of an explanation is drawn; the report and the live page share it.
const LEGENDS = {
  heatmap: ["opposes the word", "supports it"],
  attention: ["no attention", "most attention"],
};

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") made.style.cssText = value; // a page may forbid the attribute
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function format(value) {
  if (value === null) return "–";
  const text = value.toFixed(2);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

function signed(value) {
  const text = format(value);
  return value > 0 && Number(text) !== 0 ? "+" + text : text;
}

function percent(share) {
  return share > 0 && share < 0.005 ? "<1 %" : Math.round(100 * share) + " %";
}

function visual(word) {
  return word.beta === null ? null : 1 - word.beta;
}

// Lays a word's picture over the photo, and fills in what is said of it; returns what is
// shown: the wanted view, or the other one for a word that lacks it.
function drawWord(article, images, word, wanted, compares = false) {
  const find = (selector) => article.querySelector(selector);
  const view = word[wanted] === null ? "heatmap" : wanted;
  const layer = find(".stage .layer");
  layer.hidden = word[view] === null;
  if (!layer.hidden) layer.src = images[word[view]];
  layer.alt = `${view} of the word ${word.word}`;
  colourWords(find(".caption").children, word);
  find(".detail").replaceChildren(...describe(word, compares));
  find(".views").hidden = word.attention === null;
  for (const button of find(".views").children)
    button.setAttribute("aria-pressed", button.dataset.view === view);
  find(".legend").className = "legend " + view;
  [find(".low").textContent, find(".high").textContent] = LEGENDS[view];
  return view;
}

// Lets the slider fade what lies over the photo.
function listenToSlider(article) {
  const stage = article.querySelector(".stage");
  stage.style.setProperty("--shown", 1);
  article.querySelector(".slider input").addEventListener("input", (event) =>
    stage.style.setProperty("--shown", event.target.value / 100));
}

// Chip 0 is the start token, chip j the word j - 1: the order of the relevance.
function colourWords(chips, word) {
  const { preceding: relevance, step, length } = word;
  const largest = Math.max(...relevance.map((value) => Math.abs(value ?? 0))) || 1;
  [...chips].forEach((chip, place) => {
    const value = relevance[place] ?? 0;
    const input = place < relevance.length;
    chip.classList.toggle("supports", input && value > 0);
    chip.classList.toggle("opposes", input && value < 0);
    const chosen = place > step && place <= step + length;
    chip.classList.toggle("later", place > step + length);
    chip.style.setProperty("--strength", Math.abs(value) / largest);
    chip.lastChild.textContent = input ? signed(relevance[place]) : "";
    chip.title = input ? `relevance for “${word.word}”: ${signed(relevance[place])}` : "";
    if (chip.tagName !== "BUTTON") return;
    chip.setAttribute("aria-pressed", chosen);
    chip.tabIndex = place === step + 1 ? 0 : -1;
  });
}

// Which row a chip belongs to: that of its word, else of its shortest phrase.
function rowsByChip(words) {
  const rows = new Map();
  const longestFirst = words.map((word, row) => [word, row]).sort(([a], [b]) => b.length - a.length);
  for (const [word, row] of longestFirst)
    for (let place = 1; place <= word.length; place++) rows.set(word.step + place, row);
  return rows;
}

// Lets a pointer be drawn over chips that have a row: `follow` is called with the first
// row and the one below the pointer whenever that changes, `end` once several are chosen.
// Returns a function that tells whether a pointer is down.
function listenToDrawing(caption, follow, end = () => {}) {
  let first = null, last = null;
  const rowAt = (event) => {
    const chip = document.elementFromPoint(event.clientX, event.clientY)?.closest(".chip");
    return chip && caption.contains(chip) && "row" in chip.dataset ? Number(chip.dataset.row) : null;
  };
  caption.addEventListener("pointerdown", (event) => { first = last = event.button ? null : rowAt(event); });
  caption.addEventListener("pointermove", (event) => {
    const row = first === null ? null : rowAt(event);
    if (row === null || row === last) return;
    last = row;
    follow(first, last);
  });
  const stop = (isEnd) => {
    if (isEnd && first !== last) end(first, last);
    first = last = null;
  };
  addEventListener("pointerup", () => stop(true));
  addEventListener("pointercancel", () => stop(false));
  return () => first !== null;
}

function describe(word, compares) {
  const meter = (label, share, text) => [
    element("span", {}, label),
    element("span", { class: "meter" },
      element("i", { style: `width: ${100 * Math.min(Math.max(share ?? 0, 0), 1)}%` })),
    element("b", {}, text),
  ];
  return [
    element("h2", {}, word.word),
    element("div", { class: "meters" },
      ...(compares
        ? [element("span", {}, "Likelier than the other"), element("span"), element("b", {}, `${Number(word.probability.toPrecision(3))} times`)]
        : meter("Probability", word.probability, percent(word.probability))),
      ...(word.beta === null ? []
        : meter("From image attention, 1−β", visual(word), format(visual(word))))),
    element("div", { class: "balance" }, ...balanceParts(word, compares)),
    ...(compares ? [element("p", { class: "quiet" }, "Words in brackets are those of the other caption.")] : []),
  ];
}

function balanceParts({ balance, length }, compares) {
  const name = compares ? "difference" : length > 1 ? "sum of the logits" : "logit";
  if (balance.image === null) {
    return [element("p", {}, `The ${name} is `, element("b", {}, format(balance.logit)), ". "),
      element("p", { class: "quiet" }, "This method keeps no balance: its relevance does not add up to it.")];
  }
  const image = balance.mean === null ? ["image"] : ["places", "mean"];
  const names = [...image, "words", "lost"];
  const what = compares ? "difference of the log-probabilities" : name;
  const lines = [element("h3", {}, `Where the ${what} comes from`),
    balanceBar(balance, names), equation(balance, names, name)];
  if (balance.pixels !== null) {
    const faint = Math.abs(balance.pixels) < 0.01 * Math.abs(balance.image);
    lines.push(element("p", { class: "quiet" },
      `Of the image’s ${format(balance.image)}, ` + (faint
        ? "the pixels received less than a hundredth in sum; the encoder kept the rest. " +
          "The map tells places, not amounts."
        : `the pixels received ${format(balance.pixels)}; ` +
          `lost in the encoder: ${format(balance.encoder_lost)}.`)));
  }
  if (balance.mean !== null) {
    lines.push(element("p", { class: "quiet" },
      `The image gave ${format(balance.places)} by what is at its places, and ` +
      `${format(balance.mean)} by the mean of all places, which says nothing of where.`));
  }
  return lines;
}

// Above the logit from zero; below its parts, positive ones to the right of zero.
function balanceBar(balance, names) {
  const parts = names.map((name) => [name, balance[name]]);
  const total = (sign) => parts.reduce((sum, [, v]) => sum + Math.max(sign * v, 0), 0);
  const low = Math.min(-total(-1), balance.logit, 0);
  const span = Math.max(total(1), balance.logit, 0) - low || 1;
  const piece = (kind, from, to) => element("i", {
    class: kind,
    style: `left: ${100 * (Math.min(from, to) - low) / span}%; width: ${100 * Math.abs(to - from) / span}%`,
  });
  const ends = { 1: 0, "-1": 0 };
  const pieces = parts.map(([name, value]) => {
    const from = ends[value < 0 ? -1 : 1];
    ends[value < 0 ? -1 : 1] = from + value;
    return piece("part " + name, from, from + value);
  });
  return element("div", { class: "bar", "aria-hidden": "true" },
    piece("logit", 0, balance.logit), ...pieces,
    element("i", { class: "zero", style: `left: ${100 * -low / span}%` }));
}

function equation(balance, names, name) {
  const terms = names.map((name, place) => {
    const sign = balance[name] < 0 && format(balance[name]).startsWith("−") ? "− " : place ? "+ " : "";
    return element("span", {}, sign, element("i", { class: name }), name + " ",
      element("b", {}, format(Math.abs(balance[name]))));
  });
  return element("p", { class: "equation" },
    element("span", {}, name + " ", element("b", {}, format(balance.logit)), " ="), ...terms);
}
