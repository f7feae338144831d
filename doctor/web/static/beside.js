// An earlier picture of the same patient, whole, beside the one that is read; the light is the same in both.

export function beside(place, buttons) {
  const picture = place.querySelector("img");
  const caption = place.querySelector("figcaption");

  function show(button) {
    for (const one of buttons) one.setAttribute("aria-pressed", one === button);
    place.hidden = button === null;
    if (button === null) return;
    picture.src = button.dataset.beside;
    picture.alt = caption.textContent = button.dataset.caption;
  }

  const isShown = (button) => button.getAttribute("aria-pressed") === "true";
  const turn = (button) => show(isShown(button) ? null : button);
  for (const button of buttons) button.addEventListener("click", () => turn(button));
  return () => buttons.length > 0 && turn(buttons.find(isShown) ?? buttons[0]);
}
