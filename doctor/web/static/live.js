// What happens at the inbox, as it happens: one stream of events, which comes back by itself after a broken line.

const TRY_AGAIN_MS = 5000;

function say(on, words) {
  const lamp = document.querySelector(".live .lamp");
  if (!lamp) return;
  lamp.className = `lamp ${on ? "on" : "off"}`;
  document.querySelector(".live .text").textContent = words;
}

const offline = (is) => document.querySelector("[data-offline]")?.toggleAttribute("hidden", !is);

// A browser keeps few lines open to one place, so a page that only shows one report lets its own go while nobody sees it.
export function listen(cursor, { whileHidden }, onChange) {
  let events = null;
  let after = cursor;

  function open() {
    if (events || (document.hidden && !whileHidden)) return;
    events = new EventSource(`/events?after=${after}`);
    events.addEventListener("open", () => {
      say(true, "live");
      offline(false);
    });
    events.addEventListener("change", (event) => {
      after = event.lastEventId;
      onChange(JSON.parse(event.data));
    });
    events.addEventListener("error", broken);
  }

  async function broken() {
    const refused = events.readyState === EventSource.CLOSED;
    if (refused) close();
    const reply = await fetch("/session", { signal: AbortSignal.timeout(TRY_AGAIN_MS) }).catch(() => null);
    if (reply?.status === 401) {
      say(false, "signed out");
      return;
    }
    say(false, "no line to the inbox");
    offline(true);
    if (refused) setTimeout(open, TRY_AGAIN_MS);
  }

  function close() {
    events?.close();
    events = null;
  }

  document.addEventListener("visibilitychange", () => (document.hidden && !whileHidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => event.persisted && window.location.reload());
  open();
}
