// The page: opened images, settings, and what is shown of the results.

import { detect, models, setToken } from "./api.js";
import { Camera } from "./camera.js";
import { asCoco, asJson, asPng, save, saveText } from "./export.js";
import { View, Viewer, confidenceColour } from "./viewer.js";

const $ = (id) => document.getElementById(id);
const shown = { points: true, edges: true, box: true, off: new Set() };
const view = new View();
const camera = new Camera();
const photos = []; // {name, blob, url, results: {weights|detector: result or "busy"}, pending: {weights|detector: promise}}
let current = -1;
let offer = null;
let viewers = [];
let chosen = null; // id of the face
let at = null; // [face, point] under the pointer or the keys
let pointed = null; // the viewer under the pointer

// ---- messages

function toast(text, kind = "error") {
  const same = [...$("toasts").children].find((one) => one.firstChild.textContent === text);
  same?.remove();
  const box = document.createElement("div");
  box.className = `toast ${kind === "error" ? "" : "note"}`;
  box.setAttribute("role", kind === "error" ? "alert" : "status");
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.className = "quiet";
  close.setAttribute("aria-label", "Dismiss");
  close.innerHTML = '<svg><use href="#i-close"/></svg>';
  box.append(words, close);
  let timer = 0;
  const remove = () => box.remove();
  const wait = () => { timer = setTimeout(remove, 9000); };
  box.addEventListener("pointerenter", () => clearTimeout(timer));
  box.addEventListener("pointerleave", wait);
  close.addEventListener("click", remove);
  wait();
  $("toasts").append(box);
  while ($("toasts").children.length > 4) $("toasts").firstChild.remove();
}

function fail(error) {
  if (error.name === "AbortError") return;
  if (error.status === 401) askToken();
  else toast(error.message);
  if (error.status === 0) state("no connection", "bad");
}

function state(text, kind) {
  $("state").textContent = text;
  $("state").className = `state ${kind}`;
}

function askToken() {
  if (!$("ask").open) $("ask").showModal();
}

// ---- settings

async function connect() {
  try {
    offer = await models();
  } catch (error) {
    state(error.status === 401 ? "token needed" : "no connection", "bad");
    fail(error);
    return;
  }
  state(`version ${offer.version}`, "good");
  const names = offer.weights.map((one) => one.name);
  fill($("weights"), names);
  fill($("compare"), names, ["", "nothing"]);
  fill($("detector"), offer.detectors);
  $("compare").disabled = names.length < 2;
  regions();
}

function fill(select, names, first = null) {
  const before = select.value;
  select.replaceChildren();
  for (const [value, text] of [...(first ? [first] : []), ...names.map((name) => [name, name])]) {
    select.append(new Option(text, value));
  }
  if (names.includes(before)) select.value = before;
}

const schemeOf = (weights) => offer.weights.find((one) => one.name === weights).scheme;
const keyOf = (weights) => `${weights}|${$("detector").value}`;
const asked = () => [$("weights").value, $("compare").value].filter((name, i, all) => name && all.indexOf(name) === i);

function chip(text, pressed, toggle) {
  const button = document.createElement("button");
  button.textContent = text;
  button.setAttribute("aria-pressed", pressed);
  button.addEventListener("click", () => {
    const now = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", now);
    toggle(now);
    draw();
  });
  return button;
}

const plain = (name) => name.replaceAll("_", " ");

function regions() {
  const scheme = schemeOf($("weights").value);
  const names = Object.keys(scheme.regions);
  const covered = new Set(Object.values(scheme.regions).flat());
  if (covered.size < scheme.names.length) names.push("other");
  shown.off = new Set([...shown.off].filter((name) => names.includes(name)));
  $("regions").replaceChildren(...names.map((name) =>
    chip(plain(name), !shown.off.has(name), (on) => (on ? shown.off.delete(name) : shown.off.add(name)))));
  $("regions").previousElementSibling.hidden = names.length < 2;
}

// ---- images

async function add(files) {
  const pictures = [...files];
  if (!pictures.length) return;
  stopCamera();
  for (const file of pictures) photos.push({ name: file.name || "pasted image", blob: file, url: URL.createObjectURL(file), results: {}, pending: {} });
  select(photos.length - pictures.length);
  for (const photo of photos.slice(-pictures.length)) await compute(photo);
}

function select(index) {
  if (!photos[index]) return;
  current = index;
  chosen = null;
  at = null;
  view.reset();
  strip();
  layout();
  draw();
  compute(photos[index]);
}

function strip() {
  $("strip").hidden = photos.length < 2 || camera.on;
  if (photos.length < 2) return;
  $("strip").replaceChildren(...photos.map((photo, i) => {
    const button = document.createElement("button");
    button.setAttribute("role", "option");
    button.setAttribute("aria-selected", i === current);
    button.setAttribute("aria-label", photo.name);
    button.title = photo.name;
    const picture = new Image();
    picture.src = photo.url;
    picture.alt = "";
    button.append(picture);
    button.addEventListener("click", () => select(i));
    return button;
  }));
}

// Ask for what is missing of a photograph with the present settings. Whoever asks again waits for the answer on its way.
async function compute(photo) {
  if (!offer) return;
  await Promise.all(asked().map((weights) => {
    const key = keyOf(weights);
    if (photo.results[key] && photo.results[key] !== "busy") return null;
    photo.pending[key] ??= computeOne(photo, weights, key).finally(() => delete photo.pending[key]);
    return photo.pending[key];
  }));
}

async function computeOne(photo, weights, key) {
  photo.results[key] = "busy";
  if (photo === photos[current]) draw();
  try {
    photo.results[key] = await detect(photo.blob, photo.name, { weights, detector: $("detector").value });
  } catch (error) {
    photo.results[key] = null;
    fail(error);
    if ([400, 413, 415, 422].includes(error.status)) forget(photo);
  }
  if (photo === photos[current]) {
    draw();
    const found = photo.results[key];
    if (found) say(`${photo.name}: ${count(found.faces.length)}`);
  }
}

// A file that the server cannot use is closed again, unless something is known of it.
function forget(photo) {
  const index = photos.indexOf(photo);
  if (index < 0 || Object.values(photo.results).some((one) => one?.faces)) return;
  photos.splice(index, 1);
  URL.revokeObjectURL(photo.url);
  if (index < current || (index === current && index === photos.length)) current -= 1;
  if (photos.length) select(Math.max(0, current));
  else {
    current = -1;
    layout();
    strip();
    $("results").hidden = $("save").hidden = true;
  }
}

const count = (n) => (n === 0 ? "no face" : n === 1 ? "1 face" : `${n} faces`);
const say = (text) => { $("live").textContent = text; };

// ---- drawing

function layout() {
  const names = asked();
  const active = photos[current] || camera.on;
  $("empty").hidden = Boolean(active);
  $("panes").hidden = $("bar").hidden = !active;
  $("panes").classList.toggle("two", names.length > 1);
  if (viewers.length !== names.length) {
    for (const viewer of viewers) viewer.remove();
    viewers = names.map(() => new Viewer(view, { onHover: hover, onPick: pick, onKey: keys }));
    pointed = null;
    $("panes").replaceChildren(...viewers.map((viewer) => viewer.pane));
  }
  viewers.forEach((viewer, i) => {
    viewer.label.hidden = names.length < 2;
    viewer.label.textContent = names[i];
  });
}

function resultsNow() {
  const photo = photos[current];
  return asked().map((weights) => (photo ? photo.results[keyOf(weights)] : null));
}

function draw() {
  const photo = photos[current];
  if (!photo || !offer || camera.on) return;
  const results = resultsNow();
  viewers.forEach((viewer, i) => {
    const result = results[i];
    viewer.pane.classList.toggle("busy", result === "busy");
    if (result && result !== "busy") {
      viewer.picture(photo.url, result.width, result.height);
      viewer.draw(result.faces, schemeOf(result.weights), shown, chosen);
    } else {
      bare(viewer, photo);
    }
  });
  panel(results);
}

// A picture whose size the server has not told yet.
function bare(viewer, photo) {
  viewer.draw([], schemeOf($("weights").value), shown, null);
  const picture = new Image();
  picture.onload = () => {
    if (photo === photos[current] && !viewer.faces.length) viewer.picture(photo.url, picture.naturalWidth, picture.naturalHeight);
  };
  picture.onerror = () => {
    photo.unseen = true;
    if (photo === photos[current]) viewer.image.removeAttribute("href");
  };
  picture.src = photo.url;
}

function panel(results) {
  const [first, second] = results;
  const ready = Boolean(first?.faces);
  $("results").hidden = !ready;
  $("save").hidden = !ready || !first.faces.length;
  if (!ready) {
    $("facts").textContent = first === "busy" ? "detecting…" : "";
    return;
  }
  const { find = 0, wait = 0, network = 0 } = first.stages;
  const time = `detect ${find.toFixed(0)} ms, landmarks ${(wait + network).toFixed(0)} ms`;
  const facts = [`${first.width} × ${first.height}`, time, ...(first.remarks || [])];
  if (photos[current].unseen) facts.push("this browser cannot show the format; the server can read it");
  $("facts").textContent = facts.join(" · ");
  $("count").textContent = first.faces.length === 1 ? "1 face" : `${first.faces.length || "No"} faces`;
  const rows = first.faces.map((face) => faceRow(face, second?.faces?.find((one) => one.id === face.id)));
  if (!rows.length) {
    const none = document.createElement("li");
    none.className = "none";
    none.textContent = "The detector found none. Another detector may.";
    rows.push(none);
  }
  $("faces").replaceChildren(...rows);
}

function faceRow(face, other) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.setAttribute("aria-pressed", face.id === chosen);
  const [x1, y1, x2, y2] = face.box;
  const mean = face.confidence.reduce((a, b) => a + b, 0) / face.confidence.length;
  const sure = face.quality === undefined ? `score ${face.score.toFixed(2)}` : `quality ${face.quality.toFixed(2)}`;
  const facts = [`${Math.round(x2 - x1)} × ${Math.round(y2 - y1)} px, ${sure}`];
  if (other && other.points.length === face.points.length) {
    const apart = face.points.map(([x, y], i) => Math.hypot(x - other.points[i][0], y - other.points[i][1]));
    facts.push(`${(apart.reduce((a, b) => a + b, 0) / apart.length).toFixed(1)} px apart on average`);
  } else {
    facts.push(`mean confidence ${mean.toFixed(2)}`);
  }
  const number = document.createElement("b");
  number.textContent = face.id + 1;
  const text = document.createElement("span");
  for (const fact of facts) text.append(Object.assign(document.createElement("small"), { textContent: fact }));
  button.append(number, text, histogram(face.confidence));
  button.addEventListener("click", () => visit(face));
  item.append(button);
  return item;
}

// How many points have which confidence, in eight steps.
function histogram(values) {
  const bins = new Array(8).fill(0);
  for (const value of values) bins[Math.min(7, Math.floor(value * 8))] += 1;
  const most = Math.max(...bins);
  const bars = document.createElement("span");
  bars.className = "bars";
  bars.title = "confidence of the landmarks, from 0 to 1";
  bins.forEach((n, i) => {
    const bar = document.createElement("i");
    bar.style.height = `${Math.round((26 * n) / most)}px`;
    bar.style.background = confidenceColour((i + 0.5) / 8);
    bars.append(bar);
  });
  return bars;
}

// ---- pointing

function hover(face, point, viewer = null) {
  pointed = viewer;
  at = face === null ? null : [face, point];
  for (const viewer of viewers) viewer.mark(face, point);
  tip();
}

function tip() {
  const viewer = viewers.find((one) => one.marked);
  $("tip").hidden = !viewer;
  if (!viewer) return;
  const [id, point] = viewer.marked;
  const found = viewers.map((one) => one.faces.find((face) => face.id === id));
  const results = resultsNow();
  const scheme = camera.on || !results[0]?.weights ? schemeOf($("weights").value) : schemeOf(results[0].weights);
  const name = document.createElement("b");
  name.textContent = `${point} · ${plain(scheme.names[point])}`;
  const lines = found.map((face, i) => {
    const line = document.createElement("span");
    if (!face) return line;
    const [x, y] = face.points[point];
    const who = found.length > 1 ? `${asked()[i]} ` : "confidence ";
    const error = face.sigma ? ` ± ${face.sigma[point].toFixed(1)} px` : "";
    line.textContent = `${who}${face.confidence[point].toFixed(2)} at ${x.toFixed(1)}, ${y.toFixed(1)}${error}`;
    return line;
  });
  if (found.length > 1 && found[0] && found[1]?.points[point]) {
    const [a, b] = found.map((face) => face.points[point]);
    lines.push(Object.assign(document.createElement("span"), { textContent: `${Math.hypot(a[0] - b[0], a[1] - b[1]).toFixed(2)} px apart` }));
  }
  $("tip").replaceChildren(name, ...lines.flatMap((line, i) => (i ? [document.createElement("br"), line] : [line])));
  place(pointed ?? viewer, id, point);
}

// Put the words beside the face, so that they hide none of it; beside the point where the face fills the screen.
function place(viewer, id, point) {
  const [x, y] = viewer.toScreen(viewer.faces.find((face) => face.id === id).points[point]);
  const [left, , right] = viewer.boxOnScreen(id);
  const { offsetWidth: w, offsetHeight: h } = $("tip");
  let at = right + 14;
  if (at + w > innerWidth - 6) at = left - w - 14;
  if (at < 6) at = Math.max(6, Math.min(x + 16, innerWidth - w - 6));
  $("tip").style.left = `${at}px`;
  $("tip").style.top = `${Math.max(6, Math.min(y - h / 2, innerHeight - h - 6))}px`;
}

function pick(face) {
  chosen = face;
  draw();
}

// From the list: choose a face and go there, or let go of it and show the whole picture.
function visit(face) {
  pick(face.id === chosen ? null : face.id);
  hover(null, null);
  if (chosen === null) view.reset();
  else view.show(face.box);
  $("panes").scrollIntoView({ block: "nearest" });
}

function keys(event) {
  const result = viewers[0];
  const faces = result?.faces ?? [];
  const face = faces.find((one) => one.id === (at?.[0] ?? chosen)) ?? faces[0];
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (step && face) {
    event.preventDefault();
    const all = face.points.map((_, i) => i).filter((i) => result.visible[i]);
    const place = at && at[0] === face.id ? all.indexOf(at[1]) : step > 0 ? -1 : 0;
    const point = all[(place + step + all.length) % all.length];
    if (point === undefined) return;
    hover(face.id, point);
    say($("tip").textContent);
  } else if (event.key === "Escape") {
    hover(null, null);
    pick(null);
  }
}

function nextFace(step) {
  const faces = viewers[0]?.faces ?? [];
  if (!faces.length) return;
  const place = faces.findIndex((one) => one.id === chosen);
  hover(null, null);
  const face = faces[(place < 0 && step < 0 ? 0 : place) + step] ?? faces.at(step > 0 ? 0 : -1);
  pick(face.id);
  view.show(face.box);
  say(`Face ${chosen + 1} of ${faces.length}`);
}

// ---- camera

async function startCamera() {
  try {
    await camera.start();
  } catch (error) {
    toast(error.message);
    return;
  }
  $("camera").setAttribute("aria-pressed", true);
  $("shoot").hidden = false;
  $("results").hidden = $("save").hidden = true;
  hover(null, null);
  chosen = null;
  layout();
  strip();
  watch();
}

function stopCamera() {
  if (!camera.on) return;
  camera.stop();
  $("camera").setAttribute("aria-pressed", false);
  $("shoot").hidden = true;
  layout();
  strip();
  draw();
}

async function watch() {
  let last = performance.now();
  let rate = 0;
  let url = null;
  while (camera.on) {
    try {
      const { blob, width, height } = await camera.frame(0.85);
      const detector = $("detector").value;
      const results = await Promise.all(asked().map((weights) => detect(blob, "camera", { weights, detector })));
      if (!camera.on) break;
      const fresh = URL.createObjectURL(blob);
      viewers.forEach((viewer, i) => {
        if (!results[i]) return;
        viewer.picture(fresh, width, height);
        viewer.draw(results[i].faces, schemeOf(results[i].weights), shown, null);
      });
      if (url) setTimeout(URL.revokeObjectURL, 1000, url);
      url = fresh;
      const now = performance.now();
      rate = rate ? 0.8 * rate + 200 / (now - last) : 1000 / (now - last);
      last = now;
      $("facts").textContent = `camera · ${width} × ${height} · ${count(results[0].faces.length)} · ${rate.toFixed(1)} pictures a second`;
    } catch (error) {
      if (error.status === 429) {
        await new Promise((done) => setTimeout(done, 500));
        continue;
      }
      fail(error);
      if (camera.on) stopCamera();
    }
  }
}

async function shoot() {
  if (!camera.on) return;
  try {
    const { blob } = await camera.frame(0.95);
    const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
    add([new File([blob], `camera-${stamp}.jpg`, { type: blob.type })]);
  } catch (error) {
    toast(error.message);
  }
}

// ---- downloads

async function finished() {
  const weights = $("weights").value;
  const key = keyOf(weights);
  for (const photo of [...photos]) await compute(photo); // a copy: one that cannot be read is closed meanwhile
  return photos.map((photo) => photo.results[key]).filter((one) => one?.faces);
}

const stem = (name) => name.replace(/\.[^.]*$/, "") || "image";
const fileName = (end) => (photos.length === 1 ? `${stem(photos[0].name)}${end}` : `faces${end}`);

$("json").addEventListener("click", async () => saveText(asJson(await finished()), fileName(".json")));
$("coco").addEventListener("click", async () => {
  const results = await finished();
  saveText(asCoco(results, schemeOf(results[0].weights), offer.version), fileName(".coco.json"));
});
$("png").addEventListener("click", async () => {
  const photo = photos[current];
  const result = photo.results[keyOf($("weights").value)];
  try {
    save(await asPng(photo.url, result, schemeOf(result.weights), shown), `${stem(photo.name)}.png`);
  } catch (error) {
    toast(error.message);
  }
});

// ---- wiring

function theme(value) {
  document.documentElement.dataset.theme = value;
  localStorage.setItem("fiducia-theme", value);
}

const wantsDark = matchMedia("(prefers-color-scheme: dark)");
document.documentElement.dataset.theme = localStorage.getItem("fiducia-theme") || (wantsDark.matches ? "dark" : "light");
wantsDark.addEventListener("change", () => {
  if (!localStorage.getItem("fiducia-theme")) document.documentElement.dataset.theme = wantsDark.matches ? "dark" : "light";
});
$("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));

for (const [name, text] of [["points", "points"], ["edges", "lines"], ["box", "boxes"]]) {
  $("layers").append(chip(text, true, (on) => { shown[name] = on; }));
}
for (const id of ["open", "choose"]) $(id).addEventListener("click", () => $("files").click());
for (const id of ["camera", "webcam"]) $(id).addEventListener("click", () => (camera.on ? stopCamera() : startCamera()));
$("files").addEventListener("change", () => {
  add($("files").files);
  $("files").value = "";
});
for (const id of ["weights", "compare", "detector"]) {
  $(id).addEventListener("change", () => {
    hover(null, null);
    if (id === "weights") regions();
    layout();
    draw();
    if (photos[current]) compute(photos[current]);
  });
}
$("shoot").addEventListener("click", shoot);
$("in").addEventListener("click", () => view.zoom(1.5));
$("out").addEventListener("click", () => view.zoom(1 / 1.5));
$("fit").addEventListener("click", () => view.reset());
view.addEventListener("change", () => {
  $("level").textContent = `${Math.round(100 * view.scale)} %`;
  tip();
});
$("ask").addEventListener("close", async () => {
  setToken($("token").value.trim());
  await connect();
  if (photos[current]) select(current);
});

addEventListener("paste", (event) => add([...event.clipboardData.files].filter((file) => file.type.startsWith("image/"))));
let entered = 0;
addEventListener("dragenter", (event) => {
  event.preventDefault();
  entered += 1;
  $("drop").hidden = false;
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("dragleave", () => {
  entered -= 1;
  $("drop").hidden = entered > 0;
});
addEventListener("drop", (event) => {
  event.preventDefault();
  entered = 0;
  $("drop").hidden = true;
  add(event.dataTransfer.files);
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("ask").open) return;
  const busy = event.target.closest?.("button, select, input, summary, a");
  const actions = {
    o: () => $("files").click(),
    c: () => $("camera").click(),
    "+": () => view.zoom(1.5),
    "=": () => view.zoom(1.5),
    "-": () => view.zoom(1 / 1.5),
    0: () => view.reset(),
    "[": () => nextFace(-1),
    "]": () => nextFace(1),
    PageUp: () => select(current - 1),
    PageDown: () => select(current + 1),
  };
  if (event.key === " " && camera.on && !busy) actions[" "] = shoot;
  const action = actions[event.key] || actions[event.key.toLowerCase?.()];
  if (!action || event.target.matches?.("select, input")) return;
  event.preventDefault();
  action();
});

connect();
