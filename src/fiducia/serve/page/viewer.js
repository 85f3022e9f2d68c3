// One picture with its points: SVG over the picture, zoom, pan, hover and keys. Several viewers may share one view.

const SVG = "http://www.w3.org/2000/svg";
const RAMP = [[0, [230, 45, 40]], [0.35, [255, 170, 30]], [0.7, [70, 225, 190]], [1, [60, 235, 150]]];
export const DOUBT = 0.35; // below this confidence a point is a ring

export function confidenceColour(value) {
  let i = 1;
  while (i < RAMP.length - 1 && value > RAMP[i][0]) i += 1;
  const [a, from] = RAMP[i - 1];
  const [b, to] = RAMP[i];
  const t = Math.min(1, Math.max(0, (value - a) / (b - a)));
  return `rgb(${from.map((v, c) => Math.round(v + t * (to[c] - v))).join(" ")})`;
}

function make(name, attributes = {}, parent = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (parent) parent.append(element);
  return element;
}

// What is seen of the picture, shared by the viewers of a comparison.
export class View extends EventTarget {
  constructor() {
    super();
    this.size = [1, 1];
    this.reset();
  }

  reset() {
    this.scale = 1;
    this.centre = [this.size[0] / 2, this.size[1] / 2];
    this.changed();
  }

  fit(width, height) {
    const same = this.size[0] === width && this.size[1] === height;
    this.size = [width, height];
    if (!same) this.reset();
  }

  zoom(factor, around = this.centre) {
    const scale = Math.min(40, Math.max(1, this.scale * factor));
    const ratio = this.scale / scale;
    this.centre = this.centre.map((c, i) => around[i] + (c - around[i]) * ratio);
    this.scale = scale;
    this.clamp();
  }

  // Show a box of the picture, with room round it.
  show([x1, y1, x2, y2]) {
    const scale = Math.min(this.size[0] / (x2 - x1), this.size[1] / (y2 - y1)) / 2;
    this.centre = [(x1 + x2) / 2, (y1 + y2) / 2];
    this.scale = Math.min(40, Math.max(1, scale));
    this.clamp();
  }

  move(dx, dy) {
    this.centre = [this.centre[0] - dx, this.centre[1] - dy];
    this.clamp();
  }

  clamp() {
    this.centre = this.centre.map((c, i) => {
      const half = this.size[i] / this.scale / 2;
      return Math.min(Math.max(c, half), this.size[i] - half);
    });
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}

export class Viewer {
  // events: onHover(face, point, x, y) with nulls for none; onPick(face); onKey(event)
  constructor(view, events) {
    this.view = view;
    this.events = events;
    this.faces = [];
    this.groups = [];
    this.pane = document.createElement("div");
    this.pane.className = "pane";
    this.svg = make("svg", { tabindex: "0", role: "img", preserveAspectRatio: "xMidYMid meet" });
    this.image = make("image", { preserveAspectRatio: "none" }, this.svg);
    this.layer = make("g", {}, this.svg);
    this.ring = make("circle", { class: "ring", visibility: "hidden" }, this.svg);
    this.label = document.createElement("span");
    this.label.className = "name";
    this.label.hidden = true;
    this.pane.append(this.svg, this.label);
    this.redraw = () => this.place();
    view.addEventListener("change", this.redraw);
    this.observer = new ResizeObserver(this.redraw);
    this.observer.observe(this.pane);
    this.listen();
  }

  remove() {
    this.view.removeEventListener("change", this.redraw);
    this.observer.disconnect();
    this.pane.remove();
  }

  picture(url, width, height) {
    this.image.setAttribute("href", url);
    this.image.setAttribute("width", width);
    this.image.setAttribute("height", height);
    this.view.fit(width, height);
    this.place();
  }

  // faces as the server answers them; shown: {edges, points, box, regions: Set or null, scheme}
  draw(faces, scheme, shown, chosen) {
    this.faces = faces;
    this.layer.replaceChildren();
    const visible = visiblePoints(scheme, shown);
    this.visible = visible;
    this.groups = faces.map((face) => this.drawFace(face, scheme, shown, visible, face.id === chosen, faces.length > 1));
    const words = faces.length === 1 ? "1 face" : `${faces.length} faces`;
    this.svg.setAttribute("aria-label", `Image with ${words}. Arrow keys go through the landmarks.`);
    this.mark(null, null);
    this.place();
  }

  drawFace(face, scheme, shown, visible, chosen, several) {
    const group = make("g", { class: chosen ? "face chosen" : "face", "data-face": face.id }, this.layer);
    const [x1, y1, x2, y2] = face.box.map((v) => v + 0.5);
    if (shown.box) make("rect", { class: "box", x: x1, y: y1, width: x2 - x1, height: y2 - y1, rx: (x2 - x1) * 0.03 }, group);
    const at = face.points.map(([x, y]) => [x + 0.5, y + 0.5]);
    if (shown.edges) {
      const parts = scheme.edges.filter(([i, j]) => visible[i] && visible[j]);
      const d = parts.map(([i, j]) => `M${at[i]}L${at[j]}`).join("");
      make("path", { class: "edges", d }, group);
    }
    const unders = make("g", { class: "unders" }, group);
    const dots = make("g", { class: "dots-of-face" }, group);
    const holes = make("g", {}, group);
    if (shown.points) {
      at.forEach((p, i) => {
        if (!visible[i]) return;
        const d = `M${p}h0`;
        make("path", { class: "under", d }, unders);
        make("path", { class: "dot", d, stroke: confidenceColour(face.confidence[i]), "data-point": i }, dots);
        if (face.confidence[i] < DOUBT) make("path", { class: "hole", d }, holes);
      });
    }
    const number = several && shown.box ? make("text", { class: "number", x: x1, y: y1 }, group) : null;
    if (number) number.textContent = face.id + 1;
    return { face, group, unders, dots, holes, number, side: Math.max(x2 - x1, y2 - y1), edges: group.querySelector(".edges") };
  }

  // Pixels of the screen for one of the picture.
  unit() {
    const { clientWidth: w, clientHeight: h } = this.svg;
    return Math.min(w / (this.view.size[0] / this.view.scale), h / (this.view.size[1] / this.view.scale)) || 1;
  }

  place() {
    const { size, scale, centre } = this.view;
    const [w, h] = [size[0] / scale, size[1] / scale];
    this.svg.setAttribute("viewBox", `${centre[0] - w / 2} ${centre[1] - h / 2} ${w} ${h}`);
    const unit = this.unit();
    for (const one of this.groups) {
      const seen = one.side * unit;
      const width = Math.min(8, Math.max(1.8, seen * 0.026));
      one.dots.setAttribute("stroke-width", width);
      one.unders.setAttribute("stroke-width", width + Math.min(2.6, width * 0.5));
      one.holes.setAttribute("stroke-width", width * 0.5);
      one.edges?.setAttribute("stroke-width", Math.min(1.8, Math.max(0.8, seen * 0.007)));
      if (one.number) {
        one.number.setAttribute("font-size", 15 / unit);
        one.number.setAttribute("stroke-width", 3 / unit);
        one.number.setAttribute("dy", -5 / unit);
      }
    }
    if (this.marked) this.mark(...this.marked);
  }

  // The box of a face on the screen: left, top, right, bottom.
  boxOnScreen(id) {
    const [x1, y1, x2, y2] = this.faces.find((face) => face.id === id).box;
    return [...this.toScreen([x1, y1]), ...this.toScreen([x2, y2])];
  }

  // Put a ring round a point, or take it away.
  mark(face, point) {
    const found = this.faces.find((one) => one.id === face);
    this.marked = found && point !== null && this.visible[point] ? [face, point] : null;
    this.ring.setAttribute("visibility", this.marked ? "visible" : "hidden");
    if (!this.marked) return;
    const [x, y] = found.points[point];
    const group = this.groups.find((one) => one.face.id === face);
    const width = Number(group.dots.getAttribute("stroke-width"));
    this.ring.setAttribute("cx", x + 0.5);
    this.ring.setAttribute("cy", y + 0.5);
    this.ring.setAttribute("r", (width / 2 + 4) / this.unit());
  }

  toPicture(event) {
    const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return [p.x, p.y];
  }

  // Where a point of the picture is on the screen.
  toScreen([x, y]) {
    const p = new DOMPoint(x + 0.5, y + 0.5).matrixTransform(this.svg.getScreenCTM());
    return [p.x, p.y];
  }

  nearest(event, within) {
    const [x, y] = this.toPicture(event);
    let best = [null, null, within / this.unit()];
    for (const face of this.faces) {
      face.points.forEach(([px, py], i) => {
        if (!this.visible[i]) return;
        const d = Math.hypot(px + 0.5 - x, py + 0.5 - y);
        if (d < best[2]) best = [face.id, i, d];
      });
    }
    return best;
  }

  faceAt(event) {
    const [x, y] = this.toPicture(event);
    const inside = this.faces.filter(({ box: [x1, y1, x2, y2] }) => x >= x1 && x <= x2 && y >= y1 && y <= y2);
    return inside.length ? inside[0].id : null;
  }

  listen() {
    const pointers = new Map();
    let moved = false;
    let spread = 0;
    this.svg.addEventListener("pointerdown", (event) => {
      this.svg.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
      moved = false;
      spread = 0;
      this.svg.classList.add("moving");
    });
    this.svg.addEventListener("pointermove", (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) {
        const [face, point] = this.nearest(event, 16);
        this.events.onHover(face, point, this);
        return;
      }
      const now = [event.clientX, event.clientY];
      if (Math.hypot(now[0] - last[0], now[1] - last[1]) > 2) moved = true;
      if (pointers.size === 1 && moved) this.view.move((now[0] - last[0]) / this.unit(), (now[1] - last[1]) / this.unit());
      if (pointers.size === 1 && !moved) return;
      pointers.set(event.pointerId, now);
      if (pointers.size === 2) {
        const [a, b] = [...pointers.values()];
        const distance = Math.hypot(a[0] - b[0], a[1] - b[1]);
        const middle = this.toPicture({ clientX: (a[0] + b[0]) / 2, clientY: (a[1] + b[1]) / 2 });
        if (spread) this.view.zoom(distance / spread, middle);
        spread = distance;
        moved = true;
      }
    });
    const end = (event) => {
      if (pointers.delete(event.pointerId) && !moved && event.type === "pointerup") {
        const [face, point] = this.nearest(event, event.pointerType === "touch" ? 28 : 16);
        this.events.onPick(face ?? this.faceAt(event));
        this.events.onHover(face, point, this);
      }
      if (!pointers.size) this.svg.classList.remove("moving");
    };
    this.svg.addEventListener("pointerup", end);
    this.svg.addEventListener("pointercancel", end);
    this.svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.events.onHover(null, null));
    this.svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.view.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.06 : 0.0018)), this.toPicture(event));
    }, { passive: false });
    this.svg.addEventListener("dblclick", (event) => this.view.zoom(2, this.toPicture(event)));
    this.svg.addEventListener("keydown", (event) => this.events.onKey(event));
  }
}

// Which points are shown: those of the regions that are switched on; points of no region go with "other".
export function visiblePoints(scheme, shown) {
  const found = new Array(scheme.names.length).fill(null).map(() => []);
  for (const [region, indices] of Object.entries(scheme.regions)) for (const i of indices) found[i].push(region);
  return found.map((regions) => (regions.length ? regions : ["other"]).some((region) => !shown.off.has(region)));
}
