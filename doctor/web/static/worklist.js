// The worklist stays true without a reload, and can be worked through with keys alone.
import { raise, offer } from "./alarm.js";
import { onKeys, tickAges } from "./frame.js";
import { listen } from "./live.js";

const list = document.querySelector("#list");
const rows = () => [...list.querySelectorAll("a.row")];
const aloud = document.querySelector("#aloud");
const AT_MOST_EVERY_MS = 700; // a busy hour must not keep a phone loading
let refreshing = false;
let again = false;

async function refresh() {
  if (refreshing) {
    again = true;
    return;
  }
  refreshing = true;
  try {
    const reply = await fetch(list.dataset.address, { headers: { "x-part": "list" } });
    if (reply.redirected) window.location.reload(); // signed out meanwhile
    else if (reply.ok) replace(await reply.text());
  } catch {
    // No line: the stream of events says so in the page's head, and asks again when it is back.
  }
  setTimeout(() => {
    refreshing = false;
    if (!again) return;
    again = false;
    refresh();
  }, AT_MOST_EVERY_MS);
}

function replace(html) {
  const known = new Set(rows().map((row) => row.dataset.number));
  const focused = document.activeElement?.closest?.("a.row")?.dataset.number;
  const parts = new DOMParser().parseFromString(html, "text/html");
  for (const id of ["list", "tabs", "clinics"]) {
    const [old, now] = [document.getElementById(id), parts.getElementById(id)];
    if (old && now && old.innerHTML !== now.innerHTML) old.replaceChildren(...now.childNodes);
  }
  document.title = parts.title || document.title;
  const fresh = rows().filter((row) => !known.has(row.dataset.number));
  for (const row of fresh) row.classList.add("fresh");
  if (fresh.length > 0) aloud.textContent = `${fresh.length} new on the list`;
  rows().find((row) => row.dataset.number === focused)?.focus();
  tickAges();
}

function step(by) {
  const all = rows();
  if (all.length === 0) return;
  const at = all.indexOf(document.activeElement?.closest?.("a.row"));
  const next = all[Math.min(all.length - 1, Math.max(0, at + by))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

const goTo = (view) => document.querySelector(`#tabs a[data-view="${view}"]`)?.click();

onKeys({
  j: () => step(1),
  k: () => step(-1),
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  "/": () => document.querySelector("#filters select")?.focus(),
  r: () => goTo("to-read"),
  u: () => goTo("urgent"),
  n: () => rows().find((row) => !row.classList.contains("answered"))?.click(),
});
document.querySelector("#filters")?.addEventListener("change", (event) => event.currentTarget.submit());
document.querySelector("#filters")?.addEventListener("keydown", (event) => event.key === "Escape" && document.activeElement.blur());
offer(document.querySelector("#alarm"));
listen(list.dataset.cursor, { whileHidden: true }, (change) => {
  raise(change.urgent);
  refresh();
});

// Before a journey: the pages and pictures on the list, kept for reading without a line. Nobody counts as having opened them.
const along = document.querySelector("#along");
if (along && "caches" in window) {
  along.hidden = false;
  along.addEventListener("click", async () => {
    along.disabled = true;
    const kept = await caches.open("kept");
    let count = 0;
    for (const row of rows()) {
      for (const address of [row.href, `${row.href}/preview`]) {
        const reply = await fetch(address, { headers: { "x-keep": "1" } }).catch(() => null);
        if (reply?.ok && !reply.redirected) await kept.put(address, reply);
      }
      count += 1;
      along.textContent = `Keeping ${count} of ${rows().length} …`;
    }
    along.textContent = `${count} kept on this device`;
    along.disabled = false;
  });
}
