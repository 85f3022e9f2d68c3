// One face with its points: the picture, labels, prediction; zoom, pan, and points that are dragged.

const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes = {}, parent = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (parent) parent.append(element);
  return element;
}

const known = (p) => p && p[0] !== null && p[1] !== null;

export class Canvas {
  // events: onSelect(point or null), onMove(point, x, y), onDrop(), onZoom(percent), onKey(event)
  constructor(pane, events) {
    this.events = events;
    this.svg = make("svg", { tabindex: "0", role: "application", "aria-label": "Face", preserveAspectRatio: "xMidYMid meet" });
    this.picture = make("image", { preserveAspectRatio: "none" }, this.svg);
    this.layer = make("g", {}, this.svg);
    this.aims = [make("circle", { class: "aim back" }, this.svg), make("circle", { class: "aim" }, this.svg)];
    this.sorry = Object.assign(document.createElement("p"), { className: "sorry", hidden: true });
    pane.append(this.svg, this.sorry);
    this.face = null;
    this.selected = null;
    this.region = [0, 0, 1, 1];
    this.shown = { guess: true, lines: true };
    this.held = null; // the point that is dragged, and how far from its middle it was taken
    this.reset();
    new ResizeObserver(() => this.place()).observe(pane);
    this.listen();
  }

  image(url, region) {
    const [x1, y1, x2, y2] = region;
    this.region = region;
    this.picture.setAttribute("href", url || "");
    for (const [key, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 })) this.picture.setAttribute(key, value);
    this.reset();
  }

  apology(text) {
    this.sorry.hidden = !text;
    this.sorry.textContent = text || "";
  }

  show(face, edges) {
    this.face = face;
    this.edges = edges;
    this.draw();
  }

  select(point) {
    this.selected = point;
    this.aim();
  }

  draw() {
    const { face } = this;
    this.layer.replaceChildren();
    if (!face) return;
    const at = face.points.map((p, k) => (known(p) && face.visible[k] ? [p[0] + 0.5, p[1] + 0.5] : null));
    const guess = face.found.map((p) => (known(p) ? [p[0] + 0.5, p[1] + 0.5] : null));
    if (this.shown.lines) {
      const d = this.edges.filter(([i, j]) => at[i] && at[j]).map(([i, j]) => `M${at[i]}L${at[j]}`).join("");
      make("path", { class: "bones", d }, this.layer);
    }
    this.gaps = [];
    this.guesses = [];
    if (this.shown.guess) {
      guess.forEach((p, k) => {
        if (!p) return;
        if (at[k]) this.gaps[k] = make("line", { class: "gap", x1: at[k][0], y1: at[k][1], x2: p[0], y2: p[1] }, this.layer);
        this.guesses.push([make("path", { class: "guess", "data-guess": k }, this.layer), p]);
      });
    }
    this.dots = [];
    at.forEach((p, k) => {
      if (!p) return;
      const names = ["label", face.visible[k] === 1 ? "hidden" : "", face.score >= 3 && face.worst.includes(k) ? "worst" : ""];
      this.dots[k] = make("circle", { class: names.join(" ").trim(), cx: p[0], cy: p[1], "data-point": k }, this.layer);
    });
    this.place();
  }

  // Pixels of the screen for one of the picture.
  unit() {
    const { clientWidth: w, clientHeight: h } = this.svg;
    const [x1, y1, x2, y2] = this.region;
    return Math.min(w / ((x2 - x1) / this.scale), h / ((y2 - y1) / this.scale)) || 1;
  }

  place() {
    const [x1, y1, x2, y2] = this.region;
    const [w, h] = [(x2 - x1) / this.scale, (y2 - y1) / this.scale];
    this.svg.setAttribute("viewBox", `${this.centre[0] - w / 2} ${this.centre[1] - h / 2} ${w} ${h}`);
    const unit = this.unit();
    const face = Math.max(60, Math.min(x2 - x1, y2 - y1) * unit / 2.2);
    this.radius = Math.min(6.5, Math.max(2.4, face / 90)) / unit;
    for (const dot of this.dots ?? []) dot?.setAttribute("r", this.radius);
    const a = 3.2 / unit;
    for (const [cross, [x, y]] of this.guesses ?? []) cross.setAttribute("d", `M${x - a} ${y - a}L${x + a} ${y + a}M${x - a} ${y + a}L${x + a} ${y - a}`);
    this.aim();
    this.events.onZoom?.(Math.round(100 * this.scale));
  }

  aim() {
    const dot = this.selected === null ? null : this.dots?.[this.selected];
    for (const ring of this.aims) {
      ring.setAttribute("visibility", dot ? "visible" : "hidden");
      if (!dot) continue;
      ring.setAttribute("cx", dot.getAttribute("cx"));
      ring.setAttribute("cy", dot.getAttribute("cy"));
      ring.setAttribute("r", this.radius + 5 / this.unit());
    }
  }

  // Show a point at a new place while it is moved.
  move(k, x, y) {
    const dot = this.dots[k];
    if (!dot) return;
    dot.setAttribute("cx", x + 0.5);
    dot.setAttribute("cy", y + 0.5);
    this.gaps[k]?.setAttribute("x1", x + 0.5);
    this.gaps[k]?.setAttribute("y1", y + 0.5);
    this.aim();
  }

  reset() {
    const [x1, y1, x2, y2] = this.region;
    this.scale = 1;
    this.centre = [(x1 + x2) / 2, (y1 + y2) / 2];
    this.place();
  }

  // Let go of a point, such as of a face that is shown no longer: it would be taken for that point of the next one.
  release() {
    this.held = null;
  }

  zoom(factor, around = this.centre) {
    const scale = Math.min(60, Math.max(0.5, this.scale * factor));
    const ratio = this.scale / scale;
    this.centre = this.centre.map((c, i) => around[i] + (c - around[i]) * ratio);
    this.scale = scale;
    this.place();
  }

  goTo(k) {
    const dot = this.dots[k];
    if (!dot) return;
    this.centre = [Number(dot.getAttribute("cx")), Number(dot.getAttribute("cy"))];
    this.scale = Math.max(this.scale, 5);
    this.place();
  }

  toPicture(event) {
    const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return [p.x, p.y];
  }

  nearest(event, within) {
    const [x, y] = this.toPicture(event);
    let best = [null, within / this.unit()];
    (this.dots ?? []).forEach((dot, k) => {
      const d = Math.hypot(dot.getAttribute("cx") - x, dot.getAttribute("cy") - y);
      if (d < best[1]) best = [k, d];
    });
    return best[0];
  }

  listen() {
    const pointers = new Map();
    let moved = false;
    let spread = 0;
    this.svg.addEventListener("pointerdown", (event) => {
      this.svg.focus({ preventScroll: true });
      this.svg.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
      moved = false;
      spread = 0;
      this.held = null;
      if (pointers.size > 1 || event.button > 0 || this.face?.fixed) return;
      const touch = event.pointerType === "touch";
      const k = this.nearest(event, touch ? 24 : 12);
      // A finger covers several points: it moves the one that was chosen before.
      if (k === null || (touch && k !== this.selected)) return;
      if (k !== this.selected) this.events.onSelect(k);
      const [x, y] = this.toPicture(event);
      this.held = [k, this.dots[k].getAttribute("cx") - x, this.dots[k].getAttribute("cy") - y];
    });
    this.svg.addEventListener("pointermove", (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) return;
      const now = [event.clientX, event.clientY];
      if (Math.hypot(now[0] - last[0], now[1] - last[1]) > 2) moved = true;
      if (!moved) return;
      if (pointers.size === 1 && this.held) {
        const [x, y] = this.toPicture(event);
        const [k, dx, dy] = this.held;
        this.events.onMove(k, x + dx - 0.5, y + dy - 0.5);
      } else if (pointers.size === 1) {
        this.svg.classList.add("moving");
        const unit = this.unit();
        this.centre = [this.centre[0] - (now[0] - last[0]) / unit, this.centre[1] - (now[1] - last[1]) / unit];
        this.place();
      }
      pointers.set(event.pointerId, now);
      if (pointers.size === 2) {
        const [a, b] = [...pointers.values()];
        const distance = Math.hypot(a[0] - b[0], a[1] - b[1]);
        if (spread) this.zoom(distance / spread, this.toPicture({ clientX: (a[0] + b[0]) / 2, clientY: (a[1] + b[1]) / 2 }));
        spread = distance;
      }
    });
    const end = (event) => {
      if (!pointers.delete(event.pointerId)) return;
      this.svg.classList.remove("moving");
      if (this.held && moved) this.events.onDrop();
      else if (!moved && event.type === "pointerup") this.events.onSelect(this.nearest(event, event.pointerType === "touch" ? 28 : 12));
      this.held = null;
    };
    this.svg.addEventListener("pointerup", end);
    this.svg.addEventListener("pointercancel", end);
    this.svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.06 : 0.0018)), this.toPicture(event));
    }, { passive: false });
    this.svg.addEventListener("keydown", (event) => this.events.onKey(event));
  }
}
