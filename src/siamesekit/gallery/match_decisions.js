"use strict";
// Decisions: made and undone, kept in the browser or by the program that serves the page, saved as a table.

const data = JSON.parse(document.getElementById("data").textContent);
const part = (id) => document.getElementById(id);
const KEY = `siamesekit-decisions-${data.id}`;
const FORMULA = /^[=+\-@\t\r\n']/;
const DIVIDED = /([;\t])(?=[=+\-@\t\r\n'])/g; // where a spreadsheet that divides cells at semicolons finds a formula
const COLUMNS = ["query", "name", "photo", "sha256", "box", "decision", "individual", "rejected", "attributes"];
const SAID = { same: "Same as", new: "New individual", unsure: "Unsure", bad: "Bad photo" };
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/u;
const LONGEST = 200;
const SILENT = "The program that serves this page does not answer as it should. Is it still running?";
const known = new Set(data.individuals);

let decisions = {}; // by the number of the query: { decision, individual, rejected }
let history = []; // what undo brings back: { query, before }; in a review also the message that has told the decision
let order = data.queries.map((_, number) => number);
let query = 0;

const warn = (text) => {
  part("warning").textContent = text;
  part("warning").hidden = !text;
};

// In the browser: other windows with this page keep their decisions in the same place

let unkept = false; // whether the browser has refused to keep them
let last = null; // what it keeps, as this window knows it

const store = () => {
  try {
    last = JSON.stringify({ decisions, history });
    localStorage.setItem(KEY, last);
    unkept = false;
    warn("");
  } catch {
    unkept = true;
    warn("This browser keeps nothing between visits. Save your decisions before you close the page.");
  }
};

const isDecision = (number, each) => Number.isInteger(Number(number)) && data.queries[number] !== undefined
  && Object.hasOwn(SAID, each?.decision) && typeof each.individual === "string" && Array.isArray(each.rejected);

const recall = () => {
  if (data.serve || unkept) return;
  try {
    const text = localStorage.getItem(KEY);
    if (text === null || text === last) return;
    last = text;
    const kept = JSON.parse(text);
    const own = Object.entries(kept.decisions).filter(([number, each]) => isDecision(number, each));
    history = kept.history.filter(({ query: number, before }) => data.queries[number] && (!before || isDecision(number, before)));
    decisions = Object.fromEntries(own);
  } catch {
    warn("What this browser has kept cannot be read; it begins anew.");
  }
};

window.addEventListener("storage", (event) => {
  if (event.key !== KEY) return;
  recall();
  show();
});

// In a review: each decision is told to the program, one after the other, with the decision that it replaces

let sent = Promise.resolve();
let answers = 0;
const waiting = new Map(); // by the query: the last message on it that has no answer yet
const failed = new Map(); // by the query: why its decision was not kept

// Who decides: asked once for each browser
const AUTHOR = "siamesekit-author";
const ask = () => {
  const field = part("author");
  part("who").hidden = !data.serve;
  field.placeholder = data.author ?? "";
  try {
    field.value = localStorage.getItem(AUTHOR) ?? "";
  } catch {
    // this browser keeps nothing
  }
  field.addEventListener("change", () => {
    try {
      localStorage.setItem(AUTHOR, field.value.trim());
    } catch {
      // it is asked again next time
    }
  });
};

const changeOf = (number) => data.decisions[number]?.change ?? null;

const send = (number, fresh, back) => {
  const { decision, individual, rejected } = decisions[number] ?? { decision: "open", individual: "", rejected: [] };
  const content = { query: number, decision, individual, rejected, fresh, author: part("author").value.trim() };
  const message = { content, seen: changeOf(number), after: waiting.get(number), back, refused: "", change: null };
  waiting.set(number, message);
  sent = sent.then(() => tell(message));
  return message;
};

const tell = async (message) => {
  const { content, after } = message;
  if (after?.refused) return settle(message, null, after.refused);
  const headers = { "X-Token": data.token, "Content-Type": "application/json" };
  const body = JSON.stringify({ ...content, seen: after ? after.change : message.seen });
  let told = null;
  let error = "";
  try {
    const answer = await fetch("decide", { method: "POST", body, headers });
    ({ decisions: told, error } = await answer.json());
    if (!answer.ok) error ||= SILENT;
  } catch {
    error = SILENT;
  }
  settle(message, told, error);
};

const settle = (message, told, error) => {
  const { query: number } = message.content;
  answers += 1;
  if (waiting.get(number) === message) waiting.delete(number);
  failed.delete(number);
  if (error) {
    failed.set(number, error);
    message.refused = error;
    message.back(); // it has not happened
  } else message.change = told?.[number]?.change ?? null;
  take(told ?? data.decisions);
};

const take = (told) => {
  data.decisions = told;
  const others = { ...told };
  for (const number of waiting.keys()) {
    if (decisions[number]) others[number] = decisions[number];
    else delete others[number];
  }
  decisions = others;
  const silent = [...failed].filter(([, text]) => text === SILENT).map(([number]) => name(number));
  const refusals = [...failed.values()].filter((text) => text !== SILENT);
  warn([...refusals, silent.length ? `Not kept: ${silent.join(", ")}. ${SILENT}` : ""].filter(Boolean).join(" "));
  show();
};

const look = async () => {
  const before = answers;
  try {
    const answer = await fetch("decisions");
    const told = answer.ok ? (await answer.json()).decisions : data.decisions;
    const current = before === answers && !waiting.size; // else it may be older than the last answer
    if (current && JSON.stringify(told) !== JSON.stringify(data.decisions)) take(told);
  } catch {
    // said when something is decided
  }
  setTimeout(look, 5000);
};

// Whether a decision of this page is still there: no other reviewer has replaced it.
const stands = ({ query: number, message }) =>
  (waiting.has(number) ? waiting.get(number) === message : changeOf(number) === message.change);

// Decide, and undo

const set = (number, decision) => {
  if (decision) decisions[number] = decision;
  else delete decisions[number];
};

const decide = (decision, individual = "", fresh = false) => {
  if (!order.length) return;
  recall();
  const decided = query;
  const entry = { query, before: decisions[query] ?? null };
  const earlier = data.serve ? history.findLast((each) => each.query === decided && stands(each)) : undefined;
  const rejected = decision === "new" ? data.queries[query].candidates.map((each) => each.individual) : [];
  set(query, { decision, individual, rejected });
  history.push(entry);
  const next = order.slice(order.indexOf(query) + 1).find((each) => !decisions[each]) ?? order.find((each) => !decisions[each]);
  if (next !== undefined) go(next);
  else arrange();
  if (data.serve) {
    entry.earlier = earlier;
    entry.message = send(decided, fresh, () => { history = history.filter((each) => each !== entry); });
  } else store();
  show();
  part("state").textContent = `${name(decided)}: ${said(decided)}`;
};

const undo = () => {
  recall();
  const entry = history.pop();
  if (!entry) return show();
  const { query: number, before, message, earlier } = entry;
  if (data.serve && !stands(entry)) {
    show();
    return warn(`${name(number)}: another reviewer has decided since you have; that stays.`);
  }
  set(number, before);
  if (data.serve) {
    const earlierMessage = earlier?.message;
    const undoing = send(number, false, () => {
      if (message.refused) return;
      history.push(entry);
      if (earlier) earlier.message = earlierMessage;
    });
    if (earlier) earlier.message = undoing; // by which its decision is there again
  } else store();
  order = arranged();
  if (!order.includes(number)) part("filter").value = "all";
  order = arranged();
  go(number);
};

const same = (place) => {
  const chosen = data.queries[query].candidates[place];
  if (chosen) decide("same", chosen.individual);
};

const stranger = () => {
  recall();
  const others = Object.entries(decisions).filter(([number]) => Number(number) !== query);
  const taken = new Set(others.map(([, each]) => each.individual));
  let number = 1;
  while (taken.has(`${data.prefix}${number}`) || known.has(`${data.prefix}${number}`)) number += 1;
  decide("new", `${data.prefix}${number}`, true);
};

const byName = (text) => {
  const individual = text.normalize("NFC").trim();
  if (!individual) return;
  if (HIDDEN.test(individual) || [...individual].length > LONGEST) {
    warn(`A name has at most ${LONGEST} characters, and each can be seen: write it anew.`);
  } else decide(known.has(individual) ? "same" : "new", individual);
};

// The table of decisions

const cell = (text) => `"${`${FORMULA.test(text) ? "'" : ""}${text.replace(DIVIDED, "$1'")}`.replaceAll('"', '""')}"`;

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
  recall();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.download = "decisions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
};

window.addEventListener("beforeunload", (event) => {
  if (data.serve ? waiting.size : unkept && Object.keys(decisions).length) event.preventDefault();
});
