// Answers that could not be sent: kept on this device, sent when the line and their doctor are back, never thrown away unsaid.

const KEY = "pending-answers";
const TRY_FOR_MS = 20000;

const read = () => JSON.parse(localStorage.getItem(KEY) ?? "[]");
const write = (answers) => localStorage.setItem(KEY, JSON.stringify(answers));
const account = () => document.body.dataset.account;
const isSame = (answer, address, whose) => answer.address === address && answer.account === whose;
const isDue = (answer) => !answer.refused && answer.account === account(); // nobody answers in another's name

export function keep(address, fields) {
  const others = read().filter((answer) => !isSame(answer, address, account()));
  write([...others, { address, fields, account: account(), refused: false }]);
  showPending();
}

export async function post(address, fields) {
  const body = new URLSearchParams(fields);
  body.set("token", document.body.dataset.token);
  return fetch(address, {
    method: "POST",
    body,
    headers: { accept: "application/json" },
    signal: AbortSignal.timeout(TRY_FOR_MS),
  });
}

// Tabs are many: one of them sends at a time. What is refused stays until the doctor has seen it.
export async function sendPending() {
  if (!read().some(isDue)) return;
  await navigator.locks.request(KEY, async () => {
    for (const answer of read().filter(isDue)) {
      try {
        const reply = await post(answer.address, answer.fields);
        if (reply.ok) forget(answer.address);
        else if ([409, 422].includes(reply.status)) refuse(answer);
        else break; // signed out: the next page that is signed in sends it
      } catch {
        break; // still no line
      }
    }
  });
  showPending();
}

function refuse({ address, account: whose }) {
  write(read().map((answer) => (isSame(answer, address, whose) ? { ...answer, refused: true } : answer)));
}

export function forget(address) {
  write(read().filter((answer) => !isSame(answer, address, account())));
  showPending();
}

export const pendingFor = (address) => read().find((answer) => isSame(answer, address, account()));

export function showPending() {
  const place = document.querySelector("[data-pending]");
  if (!place) return;
  const answers = read();
  place.hidden = answers.length === 0;
  place.replaceChildren(...answers.map(line));
}

function line(answer) {
  const paragraph = document.createElement("p");
  const link = document.createElement("a");
  link.href = answer.address.replace(/\/answer$/, "");
  link.textContent = `Report ${answer.address.split("/").at(-2)}`;
  const words = answer.account !== account()
    ? `: an answer of ${answer.account} is kept on this device and is sent when they sign in.`
    : answer.refused
      ? ": your answer was not taken, because somebody answered meanwhile. Open it to see both."
      : ": your answer is kept on this device and is sent when the line is back.";
  paragraph.append(link, words);
  return paragraph;
}
