// A notification and a sound for urgent findings: only after the doctor has asked for them on this device.

const KEY = "alarm";
const LAST = "alarm-last";
let sound = null;

function wake() {
  sound ??= new AudioContext();
  sound.resume();
}

function chime() {
  if (!sound) return;
  for (const [pitch, start] of [[660, 0], [880, 0.22]]) {
    const tone = sound.createOscillator();
    const level = sound.createGain();
    tone.frequency.value = pitch;
    level.gain.setValueAtTime(0.0001, sound.currentTime + start);
    level.gain.exponentialRampToValueAtTime(0.3, sound.currentTime + start + 0.02);
    level.gain.exponentialRampToValueAtTime(0.0001, sound.currentTime + start + 0.5);
    tone.connect(level).connect(sound.destination);
    tone.start(sound.currentTime + start);
    tone.stop(sound.currentTime + start + 0.55);
  }
}

async function notify(finding) {
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  const words = { body: finding.text, tag: `report-${finding.number}`, data: { address: finding.address } };
  const worker = await navigator.serviceWorker?.getRegistration();
  if (worker) worker.showNotification("Urgent finding", words);
  else new Notification("Urgent finding", words);
}

// Reports are numbered as they arrive: what is below the last is known, to this page or to another one on this device.
export function raise(findings) {
  const last = Number(localStorage.getItem(LAST) ?? 0);
  const fresh = findings.filter((finding) => finding.number > last);
  if (localStorage.getItem(KEY) !== "on" || fresh.length === 0) return;
  localStorage.setItem(LAST, Math.max(...fresh.map((finding) => finding.number)));
  document.body.dataset.alarms = Number(document.body.dataset.alarms ?? 0) + fresh.length;
  chime();
  fresh.forEach(notify);
}

export function offer(button) {
  const show = () => {
    const on = localStorage.getItem(KEY) === "on";
    button.setAttribute("aria-pressed", on);
    button.textContent = on ? "Sound and notification are on" : "Tell me of urgent findings";
  };
  button.hidden = false;
  button.addEventListener("click", async () => {
    const on = localStorage.getItem(KEY) !== "on";
    localStorage.setItem(KEY, on ? "on" : "off");
    show();
    if (!on) return;
    wake();
    chime();
    if ("Notification" in window) await Notification.requestPermission();
  });
  // A browser lets a page sound only after a touch or key on it.
  for (const touch of ["pointerdown", "keydown"]) {
    document.addEventListener(touch, () => localStorage.getItem(KEY) === "on" && wake(), { once: true });
  }
  show();
}
