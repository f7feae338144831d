// Keeps the page fresh, takes dropped files, and lets the heatmap be switched off. Without it the page works by reloading.
"use strict";

const PAUSE_MS = 2000;
const page = document.documentElement;
const find = (id) => document.getElementById(id);
let tag = null;
let missed = 0;

async function refresh() {
  if (document.hidden) return;
  try {
    const headers = { Accept: "text/html" };
    if (tag) headers["If-None-Match"] = tag;
    const answer = await fetch(location.href, { headers, cache: "no-store" });
    if (answer.redirected) return location.reload();
    if (answer.status !== 304 && !answer.ok) throw new Error(answer.status);
    tag = answer.headers.get("ETag") || tag;
    if (answer.status === 200) replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
    missed = 0;
  } catch {
    missed += 1;
  }
  find("lost").hidden = missed < 2;
}

// Only what differs is put in place, so that whoever is using the page keeps place, focus and opened details.
function replace(fresh) {
  document.title = fresh.title;
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (next) merge(part, next);
  }
}

function merge(old, next) {
  if (old.isEqualNode(next)) return;
  const same = old.tagName === next.tagName && old.id === next.id && old.children.length === next.children.length;
  if (same && old.children.length && !ownText(old, next)) {
    for (const name of next.getAttributeNames()) {
      if (old.getAttribute(name) !== next.getAttribute(name)) old.setAttribute(name, next.getAttribute(name));
    }
    for (const name of old.getAttributeNames()) {
      if (name !== "open" && !next.hasAttribute(name)) old.removeAttribute(name); // a person has opened these details
    }
    [...old.children].forEach((child, place) => merge(child, next.children[place]));
    return;
  }
  for (const opened of old.querySelectorAll("details[open][id]")) {
    const again = next.querySelector(`#${opened.id}`);
    if (again) again.open = true;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  old.replaceWith(next);
  if (focused && find(focused)) find(focused).focus();
}

function ownText(old, next) {
  const text = (node) => [...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.data.trim()).join("|");
  return text(old) !== text(next);
}

function say(text, good) {
  const line = document.createElement("li");
  line.textContent = text;
  line.className = good === undefined ? "" : good ? "good" : "bad";
  find("sent").prepend(line);
  return line;
}

async function send(file) {
  const limit = Number(find("send").dataset.maxBytes);
  if (file.size > limit) return say(`${file.name}: The file is larger than ${Math.floor(limit / 1048576)} MB. Export the picture at a smaller size.`, false);
  const line = say(`${file.name}: being sent…`);
  const body = new FormData();
  body.append("file", file);
  try {
    const answer = await fetch("/studies", { method: "POST", body, headers: { Accept: "application/json" } });
    const [told] = (await answer.json()).files;
    line.className = told.error ? "bad" : "good";
    line.textContent = `${file.name}: ${told.error || "is on the box. Its finding appears below in a moment."}`;
  } catch {
    line.className = "bad";
    line.textContent = `${file.name}: The box did not answer. Keep the file and send it again.`;
  }
  refresh();
}

async function sendAll(files) {
  for (const file of files) await send(file);
}

function takeFiles(form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sendAll([...find("files").files]).then(() => form.reset());
  });
  addEventListener("dragover", (event) => { event.preventDefault(); page.classList.add("dropping"); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) page.classList.remove("dropping"); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    page.classList.remove("dropping");
    sendAll([...event.dataTransfer.files]);
  });
}

function switchHeat(button) {
  const show = (on) => {
    page.classList.toggle("no-heat", !on);
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "Hide where the box looked" : "Show where the box looked";
  };
  button.hidden = false;
  show(localStorage.getItem("heat") !== "off");
  button.addEventListener("click", () => {
    const on = page.classList.contains("no-heat");
    localStorage.setItem("heat", on ? "on" : "off");
    show(on);
  });
}

if (find("send")) takeFiles(find("send"));
if (find("heat")) switchHeat(find("heat"));
if (find("strength")) {
  find("strength").hidden = false;
  find("much").addEventListener("input", (event) => page.style.setProperty("--much", event.target.value / 100));
}
if (find("alarms")) {
  setInterval(refresh, PAUSE_MS);
  document.addEventListener("visibilitychange", refresh);
}
