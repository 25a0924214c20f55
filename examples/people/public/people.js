// The page: a table that is read once, and updated by the trigger's events.
//
// Rows are kept by their key, so a row that arrives twice, read and as an event, changes nothing. A button does not
// change the table itself: the change arrives as an event, like everybody else's.

import { connect } from './pgrpc.js';

const $ = (id) => document.getElementById(id);
const STATES = { connecting: 'Connecting …', open: 'Connected', lost: 'Not connected, retrying …' };
const KEPT = 8; // lines about tall people

const database = connect({
  onState: (state) => {
    $('connection').dataset.state = state;
    $('connection').textContent = STATES[state];
  },
});

const metres = (height) => (height === null ? '–' : `${height.toFixed(2)} m`);

function element(tag, className, text = '') {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

// The table -----------------------------------------------------------------------------------------------------------

database.follow('people', {
  read: () => database.call('list_people'),
  show: (people) => {
    const present = new Set(people.map(({ id }) => rowId(id)));
    for (const row of [...$('people').children]) if (!present.has(row.id)) row.remove();
    people.forEach(put);
    count();
  },
  event: ({ type, row }) => {
    if (type === 'DELETE') leave(row);
    else flash(put(row));
    count();
  },
});

const rowId = (id) => `person-${id}`;

function put({ id, name, born, height }) {
  const row = document.getElementById(rowId(id)) ?? addRow(id);
  row.classList.toggle('tall', height >= 2);
  row.cells[0].textContent = name;
  row.cells[1].textContent = born ?? '–';
  row.cells[2].textContent = metres(height);
  row.querySelector('button').setAttribute('aria-label', `Remove ${name}`);
  return row;
}

function addRow(id) {
  const row = $('people').insertRow();
  row.id = rowId(id);
  row.dataset.id = id;
  row.append(element('th', ''), element('td', 'number'), element('td', 'number'), element('td', ''));
  row.cells[0].scope = 'row';
  const button = element('button', 'remove', '×');
  button.onclick = () => attempt(() => database.call('remove_person', { id }));
  row.cells[3].append(button);
  const next = [...$('people').rows].find((other) => Number(other.dataset.id) > id);
  if (next) $('people').insertBefore(row, next);
  return row;
}

function leave({ id }) {
  document.getElementById(rowId(id))?.remove();
}

/** Starts again if the row is highlighted already. */
function flash(row) {
  row.classList.remove('changed');
  void row.offsetWidth;
  row.classList.add('changed');
}

function count() {
  $('count').textContent = `${$('people').rows.length} rows`;
}

// Tall people ---------------------------------------------------------------------------------------------------------

database.follow('tall_people', {
  read: () => database.call('tall_people'),
  show: (people) => {
    $('tall').replaceChildren();
    people.forEach((person) => report(person, 'is in the table'));
  },
  event: ({ type, row }) => report(row, type === 'INSERT' ? 'is new' : 'was measured'),
});

function report({ name, height }, what) {
  const line = element('li', '');
  line.append(element('strong', '', name), ` ${what}: ${metres(height)}`);
  $('tall').prepend(line);
  if ($('tall').children.length > KEPT) $('tall').lastChild.remove();
}

// Adding --------------------------------------------------------------------------------------------------------------

$('add').onsubmit = async (event) => {
  event.preventDefault();
  const { name, born, height } = event.target.elements;
  const number = ({ value }) => (value.trim() === '' ? null : Number(value.replace(',', '.')));
  await attempt(async () => {
    await database.call('add_person', { name: name.value, born: number(born), height: number(height) });
    event.target.reset();
    name.focus();
  });
};

/** Runs a call, and shows what was wrong with it. */
async function attempt(work) {
  try {
    await work();
    $('fault').textContent = '';
  } catch (error) {
    const faults = Array.isArray(error.data) ? error.data.map(({ path, message }) => `${path}: ${message}`) : [];
    $('fault').textContent = faults.join('; ') || error.message;
  }
}
