// Answers given while there is no line: kept on this device, sent when the line is back, never thrown away unsaid.

const KEY = "pending-answers";
const TRY_FOR_MS = 20000;

const read = () => JSON.parse(localStorage.getItem(KEY) ?? "[]");
const write = (answers) => localStorage.setItem(KEY, JSON.stringify(answers));
const token = () => document.body.dataset.token;

export function keep(address, fields) {
  write([...read().filter((answer) => answer.address !== address), { address, fields, refused: false }]);
  showPending();
}

export async function post(address, fields) {
  const body = new URLSearchParams(fields);
  body.set("token", token());
  return fetch(address, {
    method: "POST",
    body,
    headers: { accept: "application/json" },
    signal: AbortSignal.timeout(TRY_FOR_MS),
  });
}

// Lines are poor and tabs are many: one tab sends at a time, and what is refused stays until the doctor has seen it.
export async function sendPending() {
  if (!read().some((answer) => !answer.refused)) return;
  await navigator.locks.request(KEY, async () => {
    for (const answer of read().filter((one) => !one.refused)) {
      try {
        const reply = await post(answer.address, answer.fields);
        if (reply.ok) write(read().filter((one) => one.address !== answer.address));
        else if (reply.status === 409) write(read().map((one) => (one.address === answer.address ? { ...one, refused: true } : one)));
        else break; // signed out: the next page that is signed in sends it
      } catch {
        break; // still no line
      }
    }
  });
  showPending();
}

export function forget(address) {
  write(read().filter((answer) => answer.address !== address));
  showPending();
}

export const pendingFor = (address) => read().find((answer) => answer.address === address);

export function showPending() {
  const place = document.querySelector("[data-pending]");
  if (!place) return;
  const answers = read();
  place.hidden = answers.length === 0;
  place.replaceChildren();
  for (const { address, refused } of answers) {
    const line = document.createElement("p");
    const link = document.createElement("a");
    link.href = address.replace(/\/answer$/, "");
    link.textContent = `Report ${address.split("/").at(-2)}`;
    const words = refused
      ? ": your answer was not taken, because somebody answered meanwhile. Open it to see both."
      : ": your answer is kept on this device and is sent when the line is back.";
    line.append(link, words);
    place.append(line);
  }
}
