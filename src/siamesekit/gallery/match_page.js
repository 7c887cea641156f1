// What is shown, and how the photos are looked at; match_decisions.js comes before it

const percent = (share) => (share > 0 && share < 0.01 ? "< 1 %" : share > 0.99 && share < 1 ? "> 99 %" : `${Math.round(100 * share)} %`);

let candidate = 0;
let photo = 0;
let mirrored = false;
let zoom = { scale: 1, x: 0, y: 0 }; // shifts in shares of a stage's width and height

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
    known: (number) => data.queries[number].verdict === "known",
    maybe: (number) => data.queries[number].verdict === "maybe new",
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
  if (failed.get(number) !== SILENT) failed.delete(number); // it is looked at again
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

// Replaces buttons; the focus stays at its place.
const fill = (id, ...children) => {
  const at = [...part(id).querySelectorAll("button")].indexOf(document.activeElement);
  part(id).replaceChildren(...children);
  if (at >= 0) part(id).querySelectorAll("button")[at]?.focus();
};

const card = (each, place) => {
  const share = each.probability ?? each.similarity ?? 0;
  const bar = made("i", {});
  bar.style.width = `${100 * share}%`;
  const button = made("button", { type: "button", title: each.individual },
    made("img", { src: data.known[each.best].small, alt: "", loading: "lazy" }),
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
  button.addEventListener("click", stranger);
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
  drawPoints();
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
  const best = data.known[chosen.best];
  const seen = asked.photos[photo];
  picture("query", seen.image, `Photo ${seen.name}`);
  part("query-name").textContent = asked.name;
  part("verdict").hidden = !asked.verdict;
  part("verdict").textContent = asked.verdict ?? "";
  part("verdict").className = asked.verdict === "known" ? "known" : "maybe";
  const place = `${order.indexOf(query) + 1} of ${order.length}`;
  part("query-facts").textContent = [place, asked.photos.length > 1 ? seen.name : "", facts(seen.attributes)].filter(Boolean).join(" · ");
  const others = asked.photos.length > 1 ? asked.photos : [];
  fill("query-more", ...others.map((each, at) => small(each.image, each.name, () => { photo = at; show(); })));
  viewed = chosen.best;
  picture("candidate", best.image ?? best.small, `${chosen.individual}, photo ${best.name}`);
  part("candidate-name").textContent = `${candidate + 1} ${chosen.individual}`;
  const photos = chosen.photos === 1 ? "1 photo" : `${chosen.photos} photos`;
  const shared = chosen.points === null ? "" : chosen.points === 1 ? "1 shared point" : `${chosen.points} shared points`;
  part("candidate-facts").textContent = [chance(chosen), photos, shared, best.name, best.moved ? "a thumbnail: its file has moved or changed" : ""].filter(Boolean).join(" · ");
  const further = data.further[chosen.individual].filter((number) => number !== chosen.best);
  const views = further.length ? [chosen.best, ...further] : [];
  fill("candidate-more", ...views.map((number) => {
    const each = data.known[number];
    return small(each.small, each.name, () => {
      viewed = number;
      picture("candidate", each.image ?? each.small, each.name);
      drawPoints();
    });
  }));
  part("same").textContent = `Same as ${chosen.individual}`;
  const decision = decisions[query];
  for (const word of ["same", "new", "unsure", "bad"]) part(word).classList.toggle("chosen", decision?.decision === word && (word !== "same" || decision.individual === chosen.individual));
  if (document.activeElement !== part("name")) part("name").value = decision?.individual ?? "";
  part("state").textContent = decision ? `Decided: ${said(query)}` : "";
  part("before").disabled = query === order[0];
  part("after").disabled = query === order.at(-1);
  const cards = asked.candidates.map(card);
  fill("candidates", ...cards, ...(asked.new === null ? [] : [nobody(asked.new)]));
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
  undo, save, mirror, points: togglePoints, keys: help, same: () => same(candidate), new: stranger, unsure: () => decide("unsure"),
  bad: () => decide("bad"), before: () => step(-1), after: () => step(1),
};
for (const [id, action] of Object.entries(clicks)) part(id).addEventListener("click", action);
part("filter").addEventListener("change", arrange);
part("sort").addEventListener("change", arrange);
part("name").addEventListener("keydown", (event) => {
  if (event.isComposing) return; // Enter ends a character here
  if (event.key === "Escape") {
    part("name").blur();
    show();
  }
  if (event.key !== "Enter") return;
  event.preventDefault();
  const text = part("name").value;
  part("name").blur();
  byName(text);
});
const keys = {
  n: clicks.new, u: clicks.unsure, x: clicks.bad, z: undo, m: mirror, p: togglePoints, "?": help, "+": () => scaleAt(1.4), "=": () => scaleAt(1.4),
  "-": () => scaleAt(1 / 1.4), 0: () => scaleAt(0), Enter: clicks.same, ArrowLeft: clicks.before, ArrowRight: clicks.after,
  ArrowUp: () => compare(candidate - 1), ArrowDown: () => compare(candidate + 1), "/": () => part("name").select(),
};
for (let digit = 1; digit <= 9; digit += 1) keys[digit] = () => same(digit - 1);

// Letters count with Shift and Caps Lock, too; those of other alphabets, and their digits, by the place of the key.
const keyOf = ({ key, code }) => {
  if (/^\P{ASCII}$/u.test(key) && (/^Key[A-Z]$/.test(code) || /^\p{Nd}$/u.test(key))) return code.at(-1).toLowerCase();
  return key.length === 1 ? key.toLowerCase() : key;
};

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea") || event.altKey || event.isComposing) return;
  if (event.repeat && !event.key.startsWith("Arrow")) return;
  if (event.key === "Enter" && event.target.closest("button")) return;
  const key = keyOf(event);
  if ((event.ctrlKey || event.metaKey) && (key !== "z" || event.shiftKey)) return;
  const action = keys[key];
  if (!action) return;
  event.preventDefault();
  action();
});
document.addEventListener("click", (event) => {
  if (event.detail && document.activeElement?.closest("button")) document.activeElement.blur(); // Enter is for the page again
});

if (data.queries.some((each) => each.verdict)) part("filter").append(new Option("called known", "known"), new Option("called maybe new", "maybe"));
part("individuals").append(...data.individuals.slice(0, 5000).map((each) => made("option", { value: each })));
ask();
if (data.serve) decisions = { ...data.decisions };
else recall();
arrange();
if (data.serve) setTimeout(look, 5000);
