// What happens at the inbox, as it happens: one stream of events that comes back by itself after a broken line.

export function listen(address, onChange) {
  const lamp = document.querySelector(".live .lamp");
  const text = document.querySelector(".live .text");
  const events = new EventSource(address);
  const say = (on, words) => {
    if (!lamp) return;
    lamp.className = `lamp ${on ? "on" : "off"}`;
    text.textContent = words;
    document.querySelector("[data-offline]")?.toggleAttribute("hidden", on);
  };
  events.addEventListener("open", () => say(true, "live"));
  events.addEventListener("error", () => {
    say(false, "no line to the inbox");
    if (events.readyState === EventSource.CLOSED) setTimeout(() => listen(address, onChange), 5000);
  });
  events.addEventListener("change", (event) => onChange(JSON.parse(event.data)));
  window.addEventListener("pagehide", () => events.close());
  return events;
}
