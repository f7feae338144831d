// One report: the picture, the answer, the picture in full, and what others do with the same report meanwhile.
import { raise } from "./alarm.js";
import { beside } from "./beside.js";
import { onKeys } from "./frame.js";
import { listen } from "./live.js";
import { forget, keep, pendingFor, post } from "./pending.js";
import { viewer } from "./viewer.js";

const main = document.querySelector("main");
const number = Number(main.dataset.number);
const stage = document.querySelector(".stage");
const form = document.querySelector(".answer form");
const view = stage.querySelector(".film") ? viewer(stage) : null;

const other = beside(document.querySelector(".beside"), [...document.querySelectorAll("button[data-beside]")]);

const follow = (selector) => () => document.querySelector(selector)?.click();
const onStage = (action) => (event) => (event.target === stage ? action() : false);

function choose(choice) {
  form.closest("details").open = true;
  choice.checked = true;
  choice.focus();
}

onKeys({
  ...(view && {
    "+": view.in,
    "=": view.in,
    "-": view.out,
    0: view.fit,
    i: view.invert,
    h: view.heat,
    l: view.light,
    m: view.move,
    x: view.reset,
    ArrowLeft: onStage(view.left),
    ArrowRight: onStage(view.right),
    ArrowUp: onStage(view.up),
    ArrowDown: onStage(view.down),
  }),
  ...Object.fromEntries([...(form?.querySelectorAll("input[data-key]") ?? [])].map((choice) => [choice.dataset.key, () => choose(choice)])),
  b: other,
  f: follow("[data-full]"),
  n: follow("[data-next]"),
  w: follow("[data-back]"),
});

// The answer
if (form) {
  const waiting = pendingFor(form.getAttribute("action"));
  if (waiting) {
    for (const [name, value] of Object.entries(waiting.fields)) {
      for (const field of form.querySelectorAll(`[name="${name}"]`)) {
        if (["radio", "checkbox"].includes(field.type)) field.checked = field.value === value;
        else if (!["token", "revision"].includes(name)) field.value = value;
      }
    }
  }
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.target.type === "radio")) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", send);
}

async function send(event) {
  event.preventDefault();
  const address = form.getAttribute("action");
  const fields = Object.fromEntries(new FormData(form));
  const button = form.querySelector("button.primary");
  button.disabled = true;
  try {
    const reply = await post(address, fields);
    if ([401, 403].includes(reply.status)) {
      keep(address, fields); // signed out meanwhile: it is sent once this doctor is in again
      window.location.reload();
      return;
    }
    forget(address);
    if (reply.ok) window.location.assign((await reply.json()).address);
    else form.submit(); // the inbox says in a page of its own what is wrong, with this answer still in it
  } catch {
    keep(address, fields);
    button.disabled = false;
  }
}

// The picture in full
const asking = document.querySelector("form[data-full-form]");
const progress = document.querySelector("#full");

async function followFull() {
  const reply = await fetch(progress.dataset.address).catch(() => null);
  if (!reply?.ok) return;
  const state = await reply.json();
  const bar = progress.querySelector("progress");
  bar.hidden = state.total_bytes === 0 || state.complete;
  bar.max = state.total_bytes || 1;
  bar.value = state.received_bytes;
  progress.querySelector("p").textContent = state.text;
  asking.hidden = state.running || state.complete;
  if (state.complete && view && !progress.dataset.shown) {
    progress.dataset.shown = "yes";
    await view.show(state.address);
  }
}

asking?.addEventListener("submit", async (event) => {
  event.preventDefault();
  await post(asking.getAttribute("action"), {});
  followFull();
});
if (progress) followFull();

// What happens meanwhile
listen(main.dataset.cursor, { whileHidden: false }, async (change) => {
  raise(change.urgent);
  if (!change.reports.includes(number)) return;
  if (progress) followFull();
  const reply = await fetch(window.location.pathname, { headers: { "x-keep": "1" } }).catch(() => null);
  if (!reply?.ok) return;
  const page = new DOMParser().parseFromString(await reply.text(), "text/html");
  const [old, now] = [document, page].map((one) => one.querySelector("#standing"));
  if (old.innerHTML !== now.innerHTML) old.replaceChildren(...now.childNodes);
  const picture = page.querySelector(".film img");
  if (picture && !view) window.location.reload(); // the picture came after the report
});
