const REFRESH_MS = 4000;

const form = /** @type {HTMLFormElement} */ (document.getElementById('enter'));
const list = /** @type {HTMLElement} */ (document.getElementById('rooms'));
const section = /** @type {HTMLElement} */ (document.getElementById('open'));
const input = /** @type {HTMLInputElement} */ (form.elements.namedItem('room'));

const suggestion = `room-${Math.random().toString(36).slice(2, 7)}`;
input.placeholder = suggestion;

form.addEventListener('submit', (event) => {
  event.preventDefault();
  location.href = `/rooms/${encodeURIComponent(input.value.trim() || suggestion)}`;
});

async function refresh() {
  try {
    const response = await fetch('/rooms');
    /** @type {{ name: string, clients: number }[]} */
    const rooms = await response.json();
    section.hidden = rooms.length === 0;
    list.replaceChildren(...rooms.map(row));
  } catch {
    section.hidden = true;
  }
}

/** @param {{ name: string, clients: number }} room */
function row({ name, clients }) {
  const link = Object.assign(document.createElement('a'), {
    href: `/rooms/${encodeURIComponent(name)}`,
  });
  const count = document.createElement('span');
  link.textContent = name;
  count.textContent = `${clients} here`;
  link.append(count);
  const item = document.createElement('li');
  item.append(link);
  return item;
}

void refresh();
setInterval(() => void refresh(), REFRESH_MS);
