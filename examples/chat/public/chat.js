// The page: rooms on the left, the messages of one room, and a line to write.
//
// Messages are inserted as text (textContent), never as HTML.

import { connect } from './pgrpc.js';

const $ = (id) => document.getElementById(id);
const STATES = { connecting: 'Connecting …', open: 'Connected', lost: 'Not connected, retrying …' };
const KEPT = 500; // messages on the page

const database = connect({
  onState: (state) => {
    $('connection').dataset.state = state;
    $('connection').textContent = STATES[state];
  },
});

function element(tag, className, text = '') {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** The same colour for the same name, in every window. */
function hue(name) {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 360;
  return sum;
}

// Author --------------------------------------------------------------------------------------------------------------

const pick = (words) => words[Math.floor(Math.random() * words.length)];
const author = $('author');
author.value = sessionStorage.getItem('author')
  ?? `${pick(['Brave', 'Calm', 'Curious', 'Gentle', 'Merry', 'Quick'])} ${pick(['Badger', 'Heron', 'Lynx', 'Otter', 'Robin', 'Wren'])}`;
author.onchange = () => {
  author.value = author.value.trim() || 'Somebody';
  remember();
};
const remember = () => sessionStorage.setItem('author', author.value);
remember();

// Rooms ---------------------------------------------------------------------------------------------------------------

let room = null;
let leave = () => {};

database.follow('rooms', {
  read: () => database.call('list_rooms'),
  show: (names) => {
    $('rooms').replaceChildren();
    names.forEach(addRoom);
  },
  event: addRoom,
});

function addRoom(name) {
  if (document.getElementById(`room-${name}`)) return;
  const link = element('a', '', name);
  link.id = `room-${name}`;
  link.href = `#${name}`;
  const item = element('li', '');
  item.append(link);
  const next = [...$('rooms').children].find((other) => other.textContent > name) ?? null;
  $('rooms').insertBefore(item, next);
  mark();
}

function mark() {
  for (const link of $('rooms').querySelectorAll('a')) {
    const current = link.textContent === room;
    link.toggleAttribute('aria-current', current);
    if (current) link.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }
}

/** The room is in the address, so that it can be shared and the Back button works. */
function enter() {
  const name = decodeURIComponent(location.hash.slice(1)) || 'lobby';
  if (name === room) return;
  room = name;
  leave();
  document.title = `${room} – Chat`;
  $('messages').setAttribute('aria-label', `Messages in ${room}`);
  $('text').placeholder = `Message to ${room}`;
  $('messages').replaceChildren();
  mark();
  leave = database.follow(`chat.${room}`, {
    read: () => database.call('latest_messages', { room: name }),
    show: (messages) => {
      $('messages').replaceChildren();
      messages.forEach(addMessage);
      if (messages.length === 0) $('messages').append(element('li', 'empty', 'No messages yet.'));
      toEnd();
    },
    event: (message) => {
      const list = $('messages');
      const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
      addMessage(message);
      if (atEnd || message.author === author.value) toEnd();
    },
  });
}

$('new-room').onsubmit = async (event) => {
  event.preventDefault();
  const name = $('room-name').value.trim().toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');
  await attempt(async () => {
    await database.call('open_room', { name });
    $('room-name').value = '';
    location.hash = name;
  });
};

// Messages ------------------------------------------------------------------------------------------------------------

const time = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' });

function addMessage({ id, author: who, text, sent }) {
  if (document.getElementById(`message-${id}`)) return; // it was read, and arrived as an event too
  const list = $('messages');
  list.querySelector('.empty')?.remove();
  const item = element('li', who === author.value ? 'mine' : '');
  item.id = `message-${id}`;
  item.dataset.author = who;
  item.style.setProperty('--hue', hue(who));
  item.classList.toggle('goes-on', list.lastElementChild?.dataset.author === who);
  const about = element('p', 'about', who);
  const when = element('time', '', time.format(new Date(sent)));
  when.dateTime = sent;
  about.append(when);
  item.append(element('span', 'face', [...who][0].toUpperCase()), about, element('p', 'text', text));
  item.firstChild.setAttribute('aria-hidden', 'true');
  list.append(item);
  if (list.children.length > KEPT) list.firstChild.remove();
}

function toEnd() {
  $('messages').scrollTop = $('messages').scrollHeight;
}

$('send').onsubmit = async (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (text === '') return;
  await attempt(async () => {
    await database.call('send_message', { room, author: author.value, text });
    $('text').value = ''; // the message itself arrives as an event, as in all other windows
  });
};

const HINTS = { // for the parameters that people type, when the server refuses them (-32602)
  '/name': 'A room name needs 1 to 30 letters and digits, with hyphens between them.',
  '/author': 'Your name needs 1 to 40 characters.',
  '/text': 'A message needs 1 to 1,000 characters.',
};

/** Text that could not be sent stays in its field. */
async function attempt(work) {
  try {
    await work();
    $('fault').textContent = $('fault').title = '';
  } catch (error) {
    $('fault').textContent = HINTS[error.data?.[0]?.path] ?? error.message;
    $('fault').title = error.message; // the server's own message
  }
}

addEventListener('hashchange', enter);
enter();
