// The review: which face is shown, what is changed, and what the server is told.

import { Canvas } from "/page/canvas.js";

const $ = (id) => document.getElementById(id);
const WORDS = ["absent", "occluded", "visible"];
const SAVE_AFTER = 700; // milliseconds without a key, after which moves by keys are saved
const plain = (name) => name.replaceAll("_", " ");
const say = (text) => { $("live").textContent = text; };

let token = location.hash.slice(1) || sessionStorage.getItem("fiducia-review-token") || "";
let review = null; // scheme, faces in their order
let current = null; // the face that is shown
let saved = null; // its points as the server has them
let pending = new Set(); // points that the server does not have yet
let timer = null;
let queue = Promise.resolve(); // what is sent, one after the other
let asked = 0; // the face that was asked for last
let dragging = false;
const pictures = new Map();
const rows = new Map(); // rank → its button in the list

// ---- the server

class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, body = undefined) {
  let answer;
  try {
    answer = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ServerError(0, "The review does not answer. Does the command still run?");
  }
  if (answer.ok) return answer;
  let message = `The server answered ${answer.status}.`;
  try {
    message = (await answer.json()).error.message;
  } catch {
    // no JSON
  }
  throw new ServerError(answer.status, message);
}

// Do things one after the other, so that an undo never overtakes a change. Errors are shown.
function inTurn(work) {
  const done = queue.then(work).catch(fail);
  queue = done;
  return done;
}

function fail(error) {
  if (error.status === 401) {
    if (!$("ask").open) $("ask").showModal();
    return;
  }
  const box = document.createElement("div");
  box.className = "toast";
  box.setAttribute("role", "alert");
  const text = Object.assign(document.createElement("p"), { textContent: error.message });
  const close = Object.assign(document.createElement("button"), { className: "quiet", textContent: "×" });
  close.setAttribute("aria-label", "Close");
  close.addEventListener("click", () => box.remove());
  box.append(text, close);
  $("toasts").append(box);
  if ($("toasts").children.length > 4) $("toasts").firstChild.remove();
}

function picture(rank) {
  if (!pictures.has(rank)) {
    if (pictures.size > 8) {
      const [first, promise] = pictures.entries().next().value;
      pictures.delete(first);
      promise.then((one) => one.url && setTimeout(URL.revokeObjectURL, 2000, one.url)).catch(() => {});
    }
    const loading = ask(`/v1/faces/${rank}/image`).then(async (answer) => {
      const region = JSON.parse(answer.headers.get("x-region"));
      return { url: URL.createObjectURL(await answer.blob()), region };
    });
    loading.catch(() => pictures.delete(rank));
    pictures.set(rank, loading);
  }
  return pictures.get(rank);
}

// ---- the face that is shown

const canvas = new Canvas($("pane"), {
  onSelect: (k) => select(k),
  onMove: (k, x, y) => { dragging = true; setPoint(k, x, y); },
  onDrop: () => { dragging = false; save(); },
  onZoom: (percent) => { $("level").textContent = `${percent} %`; },
  onKey: keys,
});

async function go(rank) {
  if (!review || rank < 0 || rank >= review.faces.length) return;
  await save();
  asked = rank;
  $("pane").classList.add("busy");
  let face;
  try {
    face = await (await ask(`/v1/faces/${rank}`)).json();
  } catch (error) {
    fail(error);
    $("pane").classList.remove("busy");
    return;
  }
  if (asked !== rank) return;
  canvas.apology("");
  let image = { url: "", region: around(face) };
  try {
    image = await picture(rank);
  } catch (error) {
    if (asked === rank) canvas.apology(error.message);
  }
  // What was moved meanwhile is of the face that is still shown; a point that is held there is let go.
  canvas.release();
  dragging = false;
  const all = await save();
  if (asked !== rank) return;
  if (!all) {
    $("pane").classList.remove("busy");
    return;
  }
  canvas.image(image.url, image.region);
  take(face);
  select(face.worst.find((k) => face.visible[k]) ?? null);
  $("pane").classList.remove("busy");
  canvas.svg.focus({ preventScroll: true });
  say(`${face.id}, face ${rank + 1} of ${review.faces.length}, ${face.state}`);
  // On a phone the list lies below the image, which must not be scrolled away.
  if (matchMedia("(min-width: 821px)").matches) rows.get(rank)?.scrollIntoView({ block: "nearest" });
  if (rank + 1 < review.faces.length) picture(rank + 1).catch(() => {});
}

// Where a face without a picture lies.
function around(face) {
  const points = [...face.points, ...face.found].filter((p) => p[0] !== null);
  if (!points.length) return [0, 0, 100, 100];
  const xs = points.map((p) => p[0]);
  const ys = points.map((p) => p[1]);
  const [x1, x2, y1, y2] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const room = 0.6 * Math.max(x2 - x1, y2 - y1, 8);
  return [x1 - room, y1 - room, x2 + room, y2 + room];
}

// Show a face as the server has it.
function take(face) {
  const before = current;
  current = face;
  if (before && before.rank !== face.rank) mark(before.rank);
  saved = { points: face.points.map((p) => [...p]), visible: [...face.visible] };
  pending = new Set();
  canvas.show(face, review.scheme.edges);
  canvas.select(canvas.selected);
  const row = review.faces[face.rank];
  Object.assign(row, { state: face.state, edited: face.edited });
  review.counts = face.counts;
  head();
  point();
  mark(face.rank);
}

function head() {
  const { id, state, score, quality, note, edited, rank, fixed } = current;
  $("name").textContent = id;
  $("badge").textContent = edited ? `${state}, changed` : state;
  $("badge").className = `badge ${state}`;
  const facts = score ? [`${score.toFixed(1)} × the usual disagreement`] : [];
  if (quality !== null) facts.push(`prediction quality ${quality.toFixed(2)}`);
  if (note) facts.push(note);
  if (fixed) facts.push(`cannot be changed: ${fixed}`);
  $("facts").textContent = facts.join(" · ");
  $("place").textContent = `${rank + 1} of ${review.faces.length}`;
  $("previous").disabled = rank === 0;
  $("next").disabled = rank === review.faces.length - 1;
  const { open, accepted, rejected } = review.counts;
  $("progress").textContent = `${accepted + rejected} of ${open + accepted + rejected} done`;
}

// ---- points

function select(k) {
  canvas.select(k);
  point();
}

function point() {
  const k = canvas.selected;
  $("point").value = k === null ? "" : k;
  const none = k === null || !current;
  $("codes").hidden = none;
  $("take").disabled = none || current.found[k][0] === null || Boolean(current.fixed);
  $("take-all").disabled = !current || current.fixed || current.found.every((p) => p[0] === null);
  if (none) {
    $("where").textContent = "No point is selected.";
    return;
  }
  const lines = [];
  const [x, y] = current.points[k];
  const [gx, gy] = current.found[k];
  const there = x !== null && current.visible[k] > 0;
  lines.push(there ? `at ${x.toFixed(2)}, ${y.toFixed(2)}` : "not labelled");
  if (gx !== null && there) lines.push(`prediction ${Math.hypot(x - gx, y - gy).toFixed(1)} px away`);
  $("where").textContent = lines.join(" · ");
  $("codes").replaceChildren(...[2, 1, 0].map((code) => {
    const button = Object.assign(document.createElement("button"), { textContent: WORDS[code] });
    button.setAttribute("aria-pressed", current.visible[k] === code);
    button.disabled = Boolean(current.fixed) || !(current.codes.includes(code) || current.visible[k] === code);
    if (button.disabled) button.title = "The file's format cannot say this.";
    button.addEventListener("click", () => setCode(k, code));
    return button;
  }));
}

const round = (v) => Math.round(v * 100) / 100;

// A coordinate that does not move keeps all of its digits, so that nothing of it changes in the file.
const moved = (v, was) => (was !== null && round(v) === round(was) ? was : round(v));

function setPoint(k, x, y) {
  if (current.fixed) return;
  current.points[k] = [moved(x, saved.points[k][0]), moved(y, saved.points[k][1])];
  pending.add(k);
  canvas.move(k, ...current.points[k]);
  point();
}

function setCode(k, code) {
  if (current.fixed || current.visible[k] === code || !current.codes.includes(code)) return;
  if (code && current.points[k][0] === null) {
    // A point that appears: where the prediction has it, else in the middle.
    const [gx, gy] = current.found[k];
    current.points[k] = gx === null ? canvas.centre.map((c) => round(c - 0.5)) : [round(gx), round(gy)];
  }
  if (!code) current.points[k] = [null, null];
  current.visible[k] = code;
  pending.add(k);
  canvas.show(current, review.scheme.edges);
  point();
  say(`${plain(review.scheme.names[k])} ${WORDS[code]}`);
  save();
}

function usePrediction(points) {
  if (current.fixed) return;
  for (const k of points) {
    const [x, y] = current.found[k];
    if (x === null || !current.visible[k]) continue;
    current.points[k] = [round(x), round(y)];
    pending.add(k);
  }
  canvas.show(current, review.scheme.edges);
  point();
  save();
}

// What could not be sent is still to be sent, and to be compared with what the server has.
function keep(before) {
  for (const { point: k, x, y, visible } of before) {
    saved.points[k] = [x, y];
    saved.visible[k] = visible;
    pending.add(k);
  }
}

// Send what the server does not have yet; if it refuses, show again what it has. Returns whether it has all.
async function save() {
  clearTimeout(timer);
  if (!pending.size || dragging) {
    await queue;
    return true;
  }
  const row = (points, visible) => (k) => ({ point: k, x: points[k][0], y: points[k][1], visible: visible[k] });
  const changed = [...pending];
  const body = {
    points: changed.map(row(current.points, current.visible)),
    before: changed.map(row(saved.points, saved.visible)),
  };
  const { rank } = current;
  pending = new Set();
  saved = { points: current.points.map((p) => [...p]), visible: [...current.visible] };
  return inTurn(async () => {
    let face;
    let done = true;
    try {
      face = await (await ask(`/v1/faces/${rank}/edit`, body)).json();
    } catch (error) {
      fail(error);
      done = false;
      if (error.status === 0 || error.status === 401) {
        if (current.rank === rank) keep(body.before);
        return done;
      }
      face = await (await ask(`/v1/faces/${rank}`)).json();
    }
    if (current.rank === rank && !pending.size && !dragging) take(face);
    return done;
  });
}

// ---- verdicts, undo, walking

async function judge(event) {
  if (!current) return;
  const { rank } = current;
  // A verdict on labels that were not saved would be one on other labels.
  if (!(await save())) return;
  await inTurn(async () => {
    const face = await (await ask(`/v1/faces/${rank}/verdict`, { event })).json();
    if (current.rank === rank) take(face);
    if (event === "reopen") return;
    say(`${face.id} ${face.state}`);
    const n = review.faces.length;
    for (let step = 1; step < n; step += 1) {
      const next = (rank + step) % n;
      if (review.faces[next].state === "open") {
        setTimeout(go, 0, next);
        return;
      }
    }
    say("All faces are done.");
  });
}

async function undo() {
  // Where a change was not taken, the one before it is not what should be undone.
  if (!(await save())) return;
  await inTurn(async () => {
    const face = await (await ask("/v1/undo", {})).json();
    if (face.rank === null) {
      say("There is nothing to undo.");
      return;
    }
    if (current.rank === face.rank) take(face);
    else setTimeout(go, 0, face.rank);
    say(`Undone: ${face.id}`);
  });
}

function step(by) {
  const shown = shownRows();
  const place = shown.findIndex((row) => row.rank === current?.rank);
  const beyond = (one) => (by > 0 ? one.rank > current.rank : one.rank < current.rank);
  const row = place < 0 ? (by > 0 ? shown.find(beyond) : shown.findLast(beyond)) : shown[place + by];
  if (row) go(row.rank);
}

function nextPoint(by) {
  const all = current.points.map((_, k) => k).filter((k) => current.visible[k]);
  if (!all.length) return;
  const place = all.indexOf(canvas.selected);
  select(place < 0 ? all[by > 0 ? 0 : all.length - 1] : all[(place + by + all.length) % all.length]);
  say(plain(review.scheme.names[canvas.selected]));
}

// ---- the list

const shownRows = () => {
  const filter = $("filter").value;
  return review.faces.filter((row) => filter === "all" || (filter === "edited" ? row.edited : row.state === filter));
};

function list() {
  rows.clear();
  const items = shownRows().map((row) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.dataset.rank = row.rank;
    button.append(document.createElement("i"));
    const id = Object.assign(document.createElement("span"), { className: "id", title: row.id });
    // The list shows a long name's end; the mark keeps a path's slashes in their places.
    id.textContent = `\u2066${row.id}\u2069`;
    const score = Object.assign(document.createElement("span"), { className: "score" });
    score.textContent = row.score ? `${row.score.toFixed(1)} ×` : "–";
    button.append(id, score);
    button.addEventListener("click", () => go(row.rank));
    item.append(button);
    rows.set(row.rank, button);
    return item;
  });
  if (!items.length) items.push(Object.assign(document.createElement("li"), { className: "none", textContent: "No such face." }));
  $("faces").replaceChildren(...items);
  for (const rank of rows.keys()) mark(rank);
}

function mark(rank) {
  const button = rows.get(rank);
  if (!button) return;
  const row = review.faces[rank];
  button.querySelector("i").className = `${row.state} ${row.edited ? "edited" : ""}`.trim();
  button.setAttribute("aria-label", `${row.id}, ${row.state}${row.edited ? ", changed" : ""}`);
  button.setAttribute("aria-current", rank === current?.rank);
}

// ---- keys

function keys(event) {
  if (!current || event.ctrlKey || event.metaKey || event.altKey) return;
  const k = canvas.selected;
  const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (event.key === "Tab" && k !== null) {
    event.preventDefault();
    nextPoint(event.shiftKey ? -1 : 1);
  } else if (arrow) {
    event.preventDefault();
    if (k === null) nextPoint(1);
    else if (current.visible[k]) {
      const by = event.shiftKey ? 5 : 0.5;
      setPoint(k, current.points[k][0] + by * arrow[0], current.points[k][1] + by * arrow[1]);
      clearTimeout(timer);
      timer = setTimeout(save, SAVE_AFTER);
    }
  } else if (event.key === "Escape") {
    select(null);
  }
}

function cycle() {
  const k = canvas.selected;
  if (k === null) return;
  const codes = [2, 1, 0].filter((code) => current.codes.includes(code));
  setCode(k, codes[(codes.indexOf(current.visible[k]) + 1) % codes.length]);
}

const actions = {
  a: () => judge("accept"),
  r: () => judge("reject"),
  o: () => judge("reopen"),
  n: () => step(1),
  b: () => step(-1),
  PageDown: () => step(1),
  PageUp: () => step(-1),
  z: undo,
  v: cycle,
  p: () => canvas.selected !== null && usePrediction([canvas.selected]),
  P: () => usePrediction(current.points.keys()),
  f: () => canvas.selected !== null && canvas.goTo(canvas.selected),
  d: () => $("layers").children[0].click(),
  l: () => $("layers").children[1].click(),
  "+": () => canvas.zoom(1.5),
  "=": () => canvas.zoom(1.5),
  "-": () => canvas.zoom(1 / 1.5),
  0: () => canvas.reset(),
};

addEventListener("keydown", (event) => {
  const undoing = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !event.shiftKey;
  if (!undoing && (event.ctrlKey || event.metaKey || event.altKey)) return;
  if ($("ask").open || !current || dragging || event.target.matches?.("select, input")) return;
  const action = undoing ? undo : actions[event.key] ?? actions[event.key.toLowerCase?.()];
  if (!action) return;
  event.preventDefault();
  if (event.repeat && ["a", "r", "z"].includes(event.key.toLowerCase())) return;
  action();
});

// ---- wiring

function theme(value) {
  document.documentElement.dataset.theme = value;
  localStorage.setItem("fiducia-theme", value);
}

const dark = matchMedia("(prefers-color-scheme: dark)");
document.documentElement.dataset.theme = localStorage.getItem("fiducia-theme") || (dark.matches ? "dark" : "light");
$("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));

for (const [name, sign, text] of [["guess", "×", "prediction"], ["lines", "", "lines"]]) {
  const button = document.createElement("button");
  if (sign) button.append(Object.assign(document.createElement("span"), { className: "key cross", textContent: sign }));
  button.append(text);
  button.setAttribute("aria-pressed", true);
  button.addEventListener("click", () => {
    canvas.shown[name] = !canvas.shown[name];
    button.setAttribute("aria-pressed", canvas.shown[name]);
    canvas.draw();
  });
  $("layers").append(button);
}
$("accept").addEventListener("click", () => judge("accept"));
$("reject").addEventListener("click", () => judge("reject"));
$("undo").addEventListener("click", undo);
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("in").addEventListener("click", () => canvas.zoom(1.5));
$("out").addEventListener("click", () => canvas.zoom(1 / 1.5));
$("fit").addEventListener("click", () => canvas.reset());
$("take").addEventListener("click", () => actions.p());
$("take-all").addEventListener("click", () => actions.P());
$("filter").addEventListener("change", list);
$("point").addEventListener("change", () => select($("point").value === "" ? null : Number($("point").value)));
$("ask").addEventListener("close", () => {
  token = $("token").value.trim();
  connect();
});
addEventListener("beforeunload", (event) => {
  if (!pending.size) return;
  save();
  event.preventDefault();
});

async function connect() {
  try {
    review = await (await ask("/v1/review")).json();
  } catch (error) {
    $("state").textContent = "not connected";
    $("state").className = "state bad";
    fail(error);
    return;
  }
  sessionStorage.setItem("fiducia-review-token", token);
  // The token leaves the address, so that a copied address or the history does not give it away.
  history.replaceState(null, "", location.pathname);
  $("state").textContent = `ordered by ${review.judged}`;
  $("state").className = "state good";
  $("source").textContent = `${review.source} · rejected faces: ${review.rejected_file}`;
  $("point").replaceChildren(new Option("none", ""), ...review.scheme.names.map((name, k) => new Option(`${k} · ${plain(name)}`, k)));
  list();
  go(Math.max(0, review.faces.findIndex((row) => row.state === "open")));
}

connect();
