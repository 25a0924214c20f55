// The page: a form to sign in, then the user's letters and a line to write.
//
// Letters are inserted as text (textContent), never as HTML.

import { connect } from './pgrpc.js';

const $ = (id) => document.getElementById(id);
const STATES = { connecting: 'Connecting …', open: 'Connected', lost: 'Not connected, retrying …' };

// Sign in -------------------------------------------------------------------------------------------------------------

let token = sessionStorage.getItem('token'); // of this window only
let me = null;
let stop = () => {};

/** The claims of a token. The server has checked it; the page only needs the subject and the expiry. */
function claims(of) {
  const middle = of.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(middle), (character) => character.codePointAt(0))));
}

$('stay').checked = sessionStorage.getItem('stay') !== 'no';
$('stay').onchange = () => sessionStorage.setItem('stay', $('stay').checked ? 'yes' : 'no');

const isGood = () => token !== null && claims(token).exp * 1000 > Date.now();

function keep(given) {
  token = given;
  sessionStorage.setItem('token', token);
}

const database = connect({
  token: () => (isGood() ? token : null),
  onState: (state) => {
    $('connection').dataset.state = state;
    $('connection').textContent = STATES[state];
    if (state === 'open' && isGood()) enter();
    else if (state === 'open') leave();
  },
  onNotice: (method) => {
    if (method === 'rpc.expiring' && $('stay').checked) attempt(renew);
    if (method === 'rpc.ended') leave('Your session has expired: sign in again.');
  },
});

async function renew() {
  keep(await database.call('renew'));
  await database.call('rpc.login', { token });
}

$('sign-in').onsubmit = (event) => {
  event.preventDefault();
  attempt(async () => {
    keep(await database.call('login', { name: $('name').value, password: $('password').value }));
    await database.call('rpc.login', { token });
    $('sign-in').reset();
    enter();
  });
};

$('sign-out').onclick = () => {
  leave();
  database.reconnect(); // without a token
};

function enter() {
  const { sub } = claims(token);
  if (me === sub) return;
  me = sub;
  $('name-of-me').textContent = me;
  for (const id of ['me', 'mail']) $(id).hidden = false;
  $('sign-in').hidden = true;
  attempt(async () => {
    const people = await database.call('people');
    $('recipient').replaceChildren(...people.map((name) => new Option(name)));
  });
  stop = database.follow(`letters.${me}`, {
    read: () => database.call('letters'),
    show: (letters) => {
      $('letters').replaceChildren();
      letters.forEach(addLetter);
    },
    event: addLetter,
  });
}

function leave(why = '') {
  sessionStorage.removeItem('token');
  token = me = null;
  stop();
  stop = () => {};
  $('letters').replaceChildren();
  for (const id of ['me', 'mail']) $(id).hidden = true;
  $('sign-in').hidden = false;
  $('fault').textContent = why;
}

// Letters -------------------------------------------------------------------------------------------------------------

const time = new Intl.DateTimeFormat([], { dateStyle: 'medium', timeStyle: 'short' });

function addLetter({ id, sender, recipient, text, sent }) {
  if (document.getElementById(`letter-${id}`)) return; // it was read, and arrived as an event too
  const item = document.createElement('li');
  item.id = `letter-${id}`;
  item.className = sender === me ? 'mine' : '';
  const about = document.createElement('p');
  about.className = 'about';
  about.textContent = `${sender} to ${recipient}, ${time.format(new Date(sent))}`;
  const words = document.createElement('p');
  words.textContent = text;
  item.append(about, words);
  $('letters').append(item);
  item.scrollIntoView({ block: 'nearest' });
}

$('send').onsubmit = (event) => {
  event.preventDefault();
  attempt(async () => {
    await database.call('send_letter', { recipient: $('recipient').value, text: $('text').value });
    $('text').value = ''; // the letter itself arrives as an event
  });
};

async function attempt(work) {
  try {
    $('fault').textContent = '';
    await work();
  } catch (error) {
    $('fault').textContent = error.message;
  }
}
