// The picture: zoom, move, brightness and contrast, inverted, and where the network looked. It changes no pixel, only how it is drawn.

const LARGEST = 16;
const ZOOM_STEP = 1.25;
const MOVE_PX = 60;
const LIGHT_PER_PX = 1 / 250;

const between = (low, value, high) => Math.min(high, Math.max(low, value));

export function viewer(stage) {
  const film = stage.querySelector(".film");
  const picture = film.querySelector("img");
  const heat = film.querySelector("canvas");
  const scaleText = stage.querySelector(".scale");
  const control = (name) => document.querySelector(`[data-view="${name}"]`);
  const size = { width: Number(film.dataset.width), height: Number(film.dataset.height) };
  const plain = { brightness: 1, contrast: 1, inverted: false };
  let view = { x: 0, y: 0, scale: 1, fitted: true, tool: "move", heat: false, ...plain };
  const fingers = new Map();

  function fitScale() {
    return Math.min(stage.clientWidth / size.width, stage.clientHeight / size.height);
  }

  function draw() {
    film.style.width = `${size.width}px`;
    film.style.height = `${size.height}px`;
    film.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    const light = `brightness(${view.brightness}) contrast(${view.contrast})`;
    picture.style.filter = view.inverted ? `invert(1) ${light}` : light;
    stage.parentElement.style.setProperty("--light", picture.style.filter);
    stage.dataset.tool = view.tool;
    scaleText.textContent = `${Math.round(view.scale * 100)} %`;
    control("invert").setAttribute("aria-pressed", view.inverted);
    control("move").setAttribute("aria-pressed", view.tool === "move");
    control("light").setAttribute("aria-pressed", view.tool === "light");
    control("brightness").value = Math.round(view.brightness * 100);
    control("contrast").value = Math.round(view.contrast * 100);
    if (heat) {
      heat.hidden = !view.heat;
      heat.style.opacity = control("opacity").value / 100;
      control("heat").setAttribute("aria-pressed", view.heat);
    }
  }

  function set(change) {
    view = { ...view, ...change };
    draw();
  }

  function fit() {
    const scale = fitScale();
    const x = (stage.clientWidth - size.width * scale) / 2;
    const y = (stage.clientHeight - size.height * scale) / 2;
    set({ scale, x, y, fitted: true });
  }

  function zoom(factor, at = { x: stage.clientWidth / 2, y: stage.clientHeight / 2 }) {
    const scale = between(fitScale() / 2, view.scale * factor, LARGEST);
    const grown = scale / view.scale;
    set({ scale, x: at.x - (at.x - view.x) * grown, y: at.y - (at.y - view.y) * grown, fitted: false });
  }

  function move(dx, dy) {
    const keep = 48; // of the film always stays in sight, in pixels
    const x = between(keep - size.width * view.scale, view.x + dx, stage.clientWidth - keep);
    const y = between(keep - size.height * view.scale, view.y + dy, stage.clientHeight - keep);
    set({ x, y, fitted: false });
  }

  function light(dx, dy) {
    const contrast = between(0.2, view.contrast + dx * LIGHT_PER_PX, 4);
    const brightness = between(0.2, view.brightness - dy * LIGHT_PER_PX, 3);
    set({ contrast, brightness });
  }

  const place = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  function pinch(event) {
    const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    const before = fingers.get(event.pointerId);
    const now = place(event);
    const spread = (a) => Math.max(1, Math.hypot(a.x - other.x, a.y - other.y));
    zoom(spread(now) / spread(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    move((now.x - before.x) / 2, (now.y - before.y) / 2);
  }

  stage.addEventListener("pointerdown", (event) => {
    stage.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, place(event));
  });
  stage.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    const lighting = view.tool === "light" || event.shiftKey || event.buttons === 2;
    if (fingers.size === 2) pinch(event);
    else if (lighting) light(now.x - before.x, now.y - before.y);
    else move(now.x - before.x, now.y - before.y);
    fingers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  stage.addEventListener("contextmenu", (event) => event.preventDefault());
  stage.addEventListener("dblclick", (event) => (view.fitted ? zoom(2.5, place(event)) : fit()));
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoom(Math.exp(-between(-120, event.deltaY, 120) / 400), place(event));
    },
    { passive: false },
  );

  const actions = {
    in: () => zoom(ZOOM_STEP),
    out: () => zoom(1 / ZOOM_STEP),
    fit,
    move: () => set({ tool: "move" }),
    light: () => set({ tool: view.tool === "light" ? "move" : "light" }),
    invert: () => set({ inverted: !view.inverted }),
    heat: () => heat && set({ heat: !view.heat }),
    reset: () => {
      set({ ...plain, tool: "move", heat: false });
      fit();
    },
    left: () => move(MOVE_PX, 0),
    right: () => move(-MOVE_PX, 0),
    up: () => move(0, MOVE_PX),
    down: () => move(0, -MOVE_PX),
  };
  for (const button of document.querySelectorAll("button[data-view]")) {
    button.addEventListener("click", () => actions[button.dataset.view]());
  }
  control("brightness").addEventListener("input", (event) => set({ brightness: event.target.value / 100 }));
  control("contrast").addEventListener("input", (event) => set({ contrast: event.target.value / 100 }));
  control("opacity")?.addEventListener("input", () => set({ heat: true }));
  new ResizeObserver(() => (view.fitted ? fit() : draw())).observe(stage);

  if (heat) drawHeat(heat, JSON.parse(heat.dataset.heatmap));
  film.hidden = false;
  fit();
  return { ...actions, show: (address) => showInstead(picture, address) };
}

async function showInstead(picture, address) {
  const whole = new Image();
  whole.src = address;
  await whole.decode();
  picture.src = address;
}

// Cubic between the rows' numbers (Catmull-Rom), so that seven cells a side look like the soft evidence that they are.
function drawHeat(canvas, rows) {
  const side = 140;
  canvas.width = side;
  canvas.height = side;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(side, side);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const value = sample(rows, ((y + 0.5) / side) * rows.length - 0.5, ((x + 0.5) / side) * rows[0].length - 0.5);
      pixels.data.set(colour(value), 4 * (y * side + x));
    }
  }
  context.putImageData(pixels, 0, 0);
}

function sample(rows, y, x) {
  const line = (row) => cubic((i) => rows[between(0, row, rows.length - 1)][between(0, i, rows[0].length - 1)], x);
  return between(0, cubic(line, y), 1);
}

function cubic(at, position) {
  const i = Math.floor(position);
  const t = position - i;
  const [a, b, c, d] = [at(i - 1), at(i), at(i + 1), at(i + 2)];
  return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

function colour(value) {
  const ramp = [[120, 20, 90], [226, 66, 36], [255, 168, 30], [255, 240, 130]];
  const at = value * (ramp.length - 1);
  const i = Math.min(ramp.length - 2, Math.floor(at));
  const mixed = ramp[i].map((low, channel) => low + (ramp[i + 1][channel] - low) * (at - i));
  return [...mixed, 255 * between(0, (value - 0.06) / 0.5, 1)];
}
