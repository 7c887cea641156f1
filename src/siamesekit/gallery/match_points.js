// Points that both photos share: a dot on each photo and a line between them; match_page.js comes after it

const SVG = "http://www.w3.org/2000/svg";
const TURN = 137.508; // degrees of hue from one point to the next: neighbours in the list have colours that differ

let pointed = true; // whether points are shown
let viewed = null; // number of the catalogue's photo that is shown

const sharedPoints = () => {
  const chosen = data.queries[query].candidates[candidate];
  return viewed === chosen.best ? chosen.shared?.[photo] ?? null : null;
};

// A place on a photo, as shares of its width and height, in pixels from the upper left corner of its stage.
const spot = (stage, image, x, y, turned) => {
  const { clientWidth: width, clientHeight: height } = stage;
  const scale = zoom.scale * Math.min(width / image.naturalWidth, height / image.naturalHeight);
  const right = (turned ? 0.5 - x : x - 0.5) * image.naturalWidth * scale;
  const down = (y - 0.5) * image.naturalHeight * scale;
  return [width * (0.5 + zoom.x) + right, height * (0.5 + zoom.y) + down];
};

const within = ([x, y], { clientWidth, clientHeight }) => x >= 0 && y >= 0 && x <= clientWidth && y <= clientHeight;

const drawn = (tag, attributes) => {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

const drawPoints = () => {
  const shared = order.length ? sharedPoints() : null;
  const button = part("points");
  button.hidden = !data.looked;
  button.disabled = !shared;
  button.textContent = shared ? `${shared.count} point${shared.count === 1 ? "" : "s"}` : "No points";
  button.setAttribute("aria-pressed", String(pointed));
  const sides = ["query", "candidate"].map((side) => [part(`${side}-stage`), part(side)]);
  const ready = shared && pointed && sides.every(([, image]) => image.complete && image.naturalWidth);
  const corner = part("lines").getBoundingClientRect();
  const lines = [];
  const dots = [];
  for (let at = 0; ready && at < shared.places.length; at += 4) {
    const color = `hsl(${Math.round((at / 4) * TURN) % 360} 95% 62%)`;
    const ends = sides.map(([stage, image], side) => {
      const [x, y] = shared.places.slice(at + 2 * side).map((value) => value / data.whole);
      const place = spot(stage, image, x, y, side === 0 && mirrored);
      if (!within(place, stage)) return null;
      const box = stage.getBoundingClientRect();
      const [cx, cy] = [place[0] + box.left - corner.left, place[1] + box.top - corner.top];
      dots.push(drawn("circle", { cx, cy, r: 4, fill: color }));
      return [cx, cy];
    });
    if (ends[0] && ends[1]) lines.push(drawn("line", { x1: ends[0][0], y1: ends[0][1], x2: ends[1][0], y2: ends[1][1], stroke: color }));
  }
  part("lines").replaceChildren(...lines, ...dots);
};

const togglePoints = () => {
  pointed = !pointed;
  drawPoints();
};

for (const side of ["query", "candidate"]) {
  part(side).addEventListener("load", drawPoints);
  new ResizeObserver(drawPoints).observe(part(`${side}-stage`));
}
