// On every page: ages that grow, the list of keys, the app that works without a line, and what is forgotten at the end.
import { sendPending, showPending } from "./pending.js";

const SECONDS = { min: 60, h: 3600, d: 86400 };

export function age(seconds) {
  if (seconds < SECONDS.min) return "<1 min";
  if (seconds < SECONDS.h) return `${Math.floor(seconds / SECONDS.min)} min`;
  if (seconds < 2 * SECONDS.d) return `${Math.floor(seconds / SECONDS.h)} h`;
  return `${Math.floor(seconds / SECONDS.d)} d`;
}

export function tickAges() {
  for (const time of document.querySelectorAll("time[data-age]")) {
    time.textContent = age((Date.now() - Date.parse(time.dateTime)) / 1000);
  }
}

export const isTyping = (event) =>
  event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input:not([type=radio], [type=checkbox]), select, textarea");

export function onKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (isTyping(event) || document.querySelector("dialog[open]")) return;
    const action = actions[event.key];
    if (!action || action(event) === false) return;
    event.preventDefault();
  });
}

export async function forgetPages() {
  if (!("caches" in window)) return;
  for (const name of await caches.keys()) {
    if (name.startsWith("kept")) await caches.delete(name);
  }
}

function start() {
  tickAges();
  setInterval(tickAges, 15000);
  const help = document.querySelector("dialog.help");
  if (help) {
    onKeys({ "?": () => help.showModal() });
    document.querySelector("[data-help]")?.addEventListener("click", () => help.showModal());
  }
  for (const form of document.querySelectorAll("form[data-forget]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      await forgetPages();
      form.submit();
    });
  }
  if (document.body.dataset.signedOut !== undefined) forgetPages();
  if ("serviceWorker" in navigator) navigator.serviceWorker.register("/sw.js");
  showPending();
  if (document.body.dataset.token) sendPending();
  window.addEventListener("online", () => sendPending());
}

start();
