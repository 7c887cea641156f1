"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const part = (id) => document.getElementById(id);
const KEY = `siamesekit-decisions-${data.id}`;
const FORMULA = /^[=+\-@\t\r\n']/;
const COLUMNS = ["query", "name", "photo", "sha256", "box", "decision", "individual", "rejected", "attributes"];
const SAID = { same: "Same as", new: "New individual", unsure: "Unsure", bad: "Bad photo" };
const known = new Set(data.individuals);
const percent = (share) => (share > 0 && share < 0.01 ? "< 1 %" : share > 0.99 && share < 1 ? "> 99 %" : `${Math.round(100 * share)} %`);

let decisions = {}; // by the number of the query: { decision, individual, rejected }
let history = []; // what undo brings back: { query, before }
let order = data.queries.map((_, number) => number);
let query = 0;
let candidate = 0;
let photo = 0;
let mirrored = false;
let zoom = { scale: 1, x: 0, y: 0 }; // shifts in shares of a stage's width and height

// Decisions are kept in the browser, or by the program that serves the page.

const warn = (text) => {
  part("warning").textContent = text;
  part("warning").hidden = !text;
};

const keep = (changed) => {
  if (data.serve) return send(changed);
  try {
    localStorage.setItem(KEY, JSON.stringify({ decisions, history }));
  } catch {
    warn("This browser keeps nothing between visits. Save your decisions before you close the page.");
  }
};

const recall = () => {
  if (data.serve) return void (decisions = { ...data.decisions });
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    if (kept) ({ decisions, history } = kept);
  } catch {
    warn("What this browser has kept cannot be read; it begins anew.");
  }
};

let sent = Promise.resolve(); // decisions reach the program one after the other
const waiting = new Map(); // how many decisions on each query are on their way

const send = (number) => {
  waiting.set(number, (waiting.get(number) ?? 0) + 1);
  const { decision, individual, rejected } = decisions[number] ?? { decision: "open", individual: "", rejected: [] };
  sent = sent.then(() => tell({ query: number, decision, individual, rejected })).then(() => {
    waiting.set(number, waiting.get(number) - 1);
  });
};

const tell = async (message) => {
  const headers = { "X-Token": data.token, "Content-Type": "application/json" };
  const body = JSON.stringify({ ...message, seen: data.decisions[message.query]?.change ?? null });
  try {
    const answer = await fetch("decide", { method: "POST", body, headers });
    const told = await answer.json();
    warn(answer.ok ? "" : told.error);
    const refused = answer.ok ? -1 : history.findLastIndex((each) => each.query === message.query);
    if (refused >= 0) history.splice(refused, 1); // it has not happened, so it cannot be undone
    if (told.decisions) take(told.decisions, message.query);
  } catch {
    warn("The program that serves this page does not answer: the last decision is not kept. Is it still running?");
  }
};

const take = (told, own) => {
  data.decisions = told;
  const coming = (number) => (waiting.get(Number(number)) ?? 0) > (Number(number) === own ? 1 : 0);
  const kept = Object.entries(decisions).filter(([number]) => coming(number));
  const others = Object.entries(told).filter(([number]) => !coming(number));
  decisions = Object.fromEntries([...others, ...kept]);
  show();
};

const look = async () => {
  try {
    const answer = await fetch("decisions");
    const told = answer.ok ? (await answer.json()).decisions : data.decisions;
    if (JSON.stringify(told) !== JSON.stringify(data.decisions)) take(told, null);
  } catch {
    // said when something is decided
  }
  setTimeout(look, 5000);
};

const set = (number, decision) => {
  if (decision) decisions[number] = decision;
  else delete decisions[number];
};

const decide = (decision, individual = "") => {
  if (!order.length) return;
  const shown = data.queries[query].candidates.map((each) => each.individual);
  const rejected = decision === "new" ? shown : [];
  history.push({ query, before: decisions[query] ?? null });
  set(query, { decision, individual, rejected });
  const decided = query;
  const place = order.indexOf(query);
  const open = (each) => !decisions[each];
  const next = order.slice(place + 1).find(open) ?? order.find(open);
  if (next !== undefined) go(next);
  else arrange();
  keep(decided);
  part("state").textContent = `${name(decided)}: ${said(decided)}`;
};

const undo = () => {
  const last = history.pop();
  if (!last) return;
  set(last.query, last.before);
  order = arranged();
  if (!order.includes(last.query)) part("filter").value = "all";
  order = arranged();
  go(last.query);
  keep(last.query);
};

const same = (place) => {
  const chosen = data.queries[query].candidates[place];
  if (chosen) decide("same", chosen.individual);
};

const fresh = () => {
  const others = Object.entries(decisions).filter(([number]) => Number(number) !== query);
  const taken = new Set(others.map(([, each]) => each.individual));
  let number = 1;
  while (taken.has(`${data.prefix}${number}`) || known.has(`${data.prefix}${number}`)) number += 1;
  return `${data.prefix}${number}`;
};

const byName = (text) => {
  const individual = text.normalize("NFC").trim();
  if (individual) decide(known.has(individual) ? "same" : "new", individual);
};

// The table of decisions

const cell = (text) => `"${(FORMULA.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;

const table = () => {
  const lines = [COLUMNS.join(",")];
  for (const [number, { decision, individual, rejected }] of Object.entries(decisions)) {
    const { name: title, photos } = data.queries[number];
    for (const each of photos) {
      const cells = [title, each.name, each.path, each.sha256, each.box, decision, individual, JSON.stringify(rejected), JSON.stringify(each.attributes)];
      lines.push(cells.map(cell).join(","));
    }
  }
  return `${lines.join("\r\n")}\r\n`;
};

const save = () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.download = "decisions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
};

// What is shown

const name = (number) => data.queries[number].name;
const said = (number) => {
  const { decision, individual } = decisions[number];
  return `${SAID[decision]}${individual ? ` ${individual}` : ""}`;
};
const likelyNew = (each) => each.new !== null && each.new > Math.max(0, ...each.candidates.map((one) => one.probability));

const arranged = () => {
  const passes = {
    all: () => true,
    open: (number) => !decisions[number],
    decided: (number) => Boolean(decisions[number]),
    unsure: (number) => decisions[number]?.decision === "unsure",
    new: (number) => likelyNew(data.queries[number]),
  }[part("filter").value];
  const height = {
    input: () => 0,
    open: (each) => -each.uncertainty,
    sure: (each) => each.uncertainty,
    new: (each) => -(each.new ?? 0),
  }[part("sort").value];
  const numbers = data.queries.map((_, number) => number).filter(passes);
  return numbers.sort((a, b) => height(data.queries[a]) - height(data.queries[b]) || a - b);
};

const arrange = () => {
  const place = Math.max(0, order.indexOf(query));
  order = arranged();
  if (!order.includes(query) && order.length) return go(order[Math.min(place, order.length - 1)]);
  return show();
};

const go = (number) => {
  query = number;
  candidate = photo = 0;
  zoom = { scale: 1, x: 0, y: 0 };
  show();
};

const step = (by) => {
  const next = order[order.indexOf(query) + by];
  if (next !== undefined) go(next);
};

const compare = (place) => {
  const count = data.queries[query].candidates.length;
  candidate = Math.min(Math.max(0, place), count - 1);
  show();
};

const made = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const chance = (each) => {
  if (each.probability !== null) return percent(each.probability);
  return each.similarity === null ? `distance ${each.distance.toFixed(3)}` : `similarity ${percent(each.similarity)}`;
};

const small = (image, title, chosen) => {
  const button = made("button", { type: "button", title }, made("img", { src: image, alt: title, loading: "lazy" }));
  button.addEventListener("click", chosen);
  return button;
};

const card = (each, place) => {
  const share = each.probability ?? each.similarity ?? 0;
  const bar = made("i", {});
  bar.style.width = `${100 * share}%`;
  const button = made("button", { type: "button", title: each.individual },
    made("img", { src: each.small, alt: "", loading: "lazy" }),
    made("b", { textContent: `${place + 1} ${each.individual}` }),
    made("small", { textContent: chance(each) }),
    made("span", { className: "bar" }, bar));
  button.setAttribute("aria-current", String(place === candidate));
  const chosen = decisions[query];
  button.classList.toggle("decided", chosen?.decision === "same" && chosen.individual === each.individual);
  button.addEventListener("click", () => compare(place));
  return made("li", {}, button);
};

const nobody = (probability) => {
  const bar = made("i", {});
  bar.style.width = `${100 * probability}%`;
  const button = made("button", { type: "button", className: "nobody", title: "Key n" },
    made("b", { textContent: "New individual" }), made("small", { textContent: percent(probability) }),
    made("span", { className: "bar" }, bar));
  button.addEventListener("click", () => decide("new", fresh()));
  return made("li", {}, button);
};

const facts = (attributes) => Object.entries(attributes).map(([column, value]) => `${column}: ${value}`).join(", ");

const picture = (id, source, alt) => {
  const image = part(id);
  if (image.getAttribute("src") !== source) image.src = source;
  image.alt = alt;
};

const move = () => {
  for (const each of document.querySelectorAll(".picture")) {
    each.style.transform = `translate(${100 * zoom.x}%, ${100 * zoom.y}%) scale(${zoom.scale})`;
  }
  part("query-stage").classList.toggle("mirrored", mirrored);
  part("mirror").setAttribute("aria-pressed", String(mirrored));
};

const show = () => {
  const count = Object.keys(decisions).length;
  part("progress").max = data.queries.length;
  part("progress").value = count;
  part("count").textContent = `${count} of ${data.queries.length} decided`;
  part("undo").disabled = !history.length;
  part("save").disabled = !count;
  part("save").hidden = Boolean(data.serve);
  part("main").hidden = !order.length;
  part("nothing").hidden = Boolean(order.length);
  if (!order.length) return;
  const asked = data.queries[query];
  const chosen = asked.candidates[candidate];
  const seen = asked.photos[photo];
  picture("query", seen.image, `Photo ${seen.name}`);
  part("query-name").textContent = asked.name;
  const place = `${order.indexOf(query) + 1} of ${order.length}`;
  part("query-facts").textContent = [place, asked.photos.length > 1 ? seen.name : "", facts(seen.attributes)].filter(Boolean).join(" · ");
  const others = asked.photos.length > 1 ? asked.photos : [];
  part("query-more").replaceChildren(...others.map((each, at) => small(each.image, each.name, () => { photo = at; show(); })));
  picture("candidate", chosen.image, `${chosen.individual}, photo ${chosen.name}`);
  part("candidate-name").textContent = `${candidate + 1} ${chosen.individual}`;
  const photos = chosen.photos === 1 ? "1 photo" : `${chosen.photos} photos`;
  part("candidate-facts").textContent = [chance(chosen), photos, chosen.name, chosen.moved ? "a thumbnail: its file has moved or changed" : ""].filter(Boolean).join(" · ");
  const views = chosen.more.length ? [{ image: chosen.image, small: chosen.small, name: chosen.name }, ...chosen.more] : [];
  part("candidate-more").replaceChildren(...views.map((each) => small(each.small, each.name, () => picture("candidate", each.image, each.name))));
  part("same").textContent = `Same as ${chosen.individual}`;
  const decision = decisions[query];
  for (const word of ["same", "new", "unsure", "bad"]) part(word).classList.toggle("chosen", decision?.decision === word && (word !== "same" || decision.individual === chosen.individual));
  if (document.activeElement !== part("name")) part("name").value = decision?.individual ?? "";
  part("state").textContent = decision ? `Decided: ${said(query)}` : "";
  part("before").disabled = query === order[0];
  part("after").disabled = query === order.at(-1);
  const cards = asked.candidates.map(card);
  part("candidates").replaceChildren(...cards, ...(asked.new === null ? [] : [nobody(asked.new)]));
  move();
};

// Zoom and pan, of both photos at once

const scaleAt = (factor, x = 0, y = 0) => {
  const scale = Math.min(12, Math.max(1, zoom.scale * factor));
  const by = scale / zoom.scale;
  shift({ scale, x: x - (x - zoom.x) * by, y: y - (y - zoom.y) * by });
};

const shift = ({ scale, x, y }) => {
  const most = (scale - 1) / 2;
  const within = (value) => Math.min(most, Math.max(-most, value));
  zoom = { scale, x: within(x), y: within(y) };
  move();
};

for (const stage of document.querySelectorAll(".stage")) {
  const fingers = new Map();
  const share = (event) => {
    const box = stage.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width - 0.5, (event.clientY - box.top) / box.height - 0.5];
  };
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    scaleAt(Math.exp(-event.deltaY / 400), ...share(event));
  }, { passive: false });
  stage.addEventListener("dblclick", (event) => (zoom.scale > 1 ? scaleAt(0) : scaleAt(3, ...share(event))));
  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    stage.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, share(event));
  });
  stage.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = share(event);
    fingers.set(event.pointerId, now);
    if (fingers.size === 1) return shift({ ...zoom, x: zoom.x + now[0] - before[0], y: zoom.y + now[1] - before[1] });
    const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    const far = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1e-3;
    scaleAt(far(now) / far(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => fingers.delete(event.pointerId));
}

// Buttons and keys

const mirror = () => {
  mirrored = !mirrored;
  move();
};
const help = () => {
  part("help").hidden = !part("help").hidden;
  part("keys").setAttribute("aria-expanded", String(!part("help").hidden));
};
const clicks = {
  undo, save, mirror, keys: help, same: () => same(candidate), new: () => decide("new", fresh()), unsure: () => decide("unsure"),
  bad: () => decide("bad"), before: () => step(-1), after: () => step(1),
};
for (const [id, action] of Object.entries(clicks)) part(id).addEventListener("click", action);
part("filter").addEventListener("change", arrange);
part("sort").addEventListener("change", arrange);
part("name").addEventListener("keydown", (event) => {
  if (event.key === "Escape") part("name").blur();
  if (event.key !== "Enter") return;
  event.preventDefault();
  const text = part("name").value;
  part("name").blur();
  byName(text);
});
const keys = {
  n: clicks.new, u: clicks.unsure, x: clicks.bad, z: undo, m: mirror, "?": help, "+": () => scaleAt(1.4), "=": () => scaleAt(1.4),
  "-": () => scaleAt(1 / 1.4), 0: () => scaleAt(0), Enter: clicks.same, ArrowLeft: clicks.before, ArrowRight: clicks.after,
  ArrowUp: () => compare(candidate - 1), ArrowDown: () => compare(candidate + 1), "/": () => part("name").select(),
};
for (let digit = 1; digit <= 9; digit += 1) keys[digit] = () => same(digit - 1);
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea") || event.altKey || event.repeat && !event.key.startsWith("Arrow")) return;
  if (event.key === "Enter" && event.target.closest("button")) return;
  if ((event.ctrlKey || event.metaKey) && event.key !== "z") return;
  const action = keys[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
window.addEventListener("beforeunload", (event) => {
  if (!data.serve && !part("warning").hidden && Object.keys(decisions).length) event.preventDefault();
});

part("individuals").append(...data.individuals.slice(0, 5000).map((each) => made("option", { value: each })));
recall();
arrange();
if (data.serve) setTimeout(look, 5000);
