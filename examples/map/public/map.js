// The page: a town drawn in SVG, vehicles on it, and four arrows that call move().
//
// A click moves nothing by itself: the vehicle moves when the event arrives, as in every other window.

import { connect } from './pgrpc.js';

const $ = (id) => document.getElementById(id);
const STATES = { connecting: 'Connecting …', open: 'Connected', lost: 'Not connected, retrying …' };
const BLOCK = 84; // from crossing to crossing, in units of the drawing
const EDGE = 42;
const COLUMNS = 10;
const ROWS = 7;
const ANGLES = { north: 0, east: 90, south: 180, west: 270 };

const database = connect({
  onState: (state) => {
    $('connection').dataset.state = state;
    $('connection').textContent = STATES[state];
  },
});

function draw(parent, tag, attributes = {}, text = '') {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return parent.appendChild(made);
}

// The town ------------------------------------------------------------------------------------------------------------

const at = (crossing) => EDGE + crossing * BLOCK;

/** A number from 0 to 1: houses differ, and are the same each time. */
function vary(column, row, salt) {
  const wave = Math.sin(column * 12.9898 + row * 78.233 + salt * 37.719) * 43758.5453;
  return wave - Math.floor(wave);
}

function drawTown() {
  const town = $('town');
  const [width, height] = [at(COLUMNS - 1) + EDGE, at(ROWS - 1) + EDGE];
  draw(town, 'rect', { class: 'land', width, height });
  for (let column = 0; column < COLUMNS - 1; column += 1) {
    for (let row = 0; row < ROWS - 1; row += 1) drawBlock(town, column, row);
  }
  draw(town, 'path', { class: 'river', d: 'M 290 -20 C 250 110 400 170 380 300 S 300 420 470 500 S 600 560 620 640' });
  for (let column = 0; column < COLUMNS; column += 1) {
    draw(town, 'line', { class: column % 4 === 1 ? 'road' : 'street', x1: at(column), x2: at(column), y1: 0, y2: height });
  }
  for (let row = 0; row < ROWS; row += 1) {
    draw(town, 'line', { class: row % 3 === 1 ? 'road' : 'street', x1: 0, x2: width, y1: at(row), y2: at(row) });
  }
  for (const row of [1, 4]) draw(town, 'line', { class: 'marking', x1: 0, x2: width, y1: at(row), y2: at(row) });
  for (const column of [1, 5, 9]) draw(town, 'line', { class: 'marking', x1: at(column), x2: at(column), y1: 0, y2: height });
}

function drawBlock(town, column, row) {
  const [x, y, size] = [at(column) + 13, at(row) + 13, BLOCK - 26];
  const isPark = (column >= 6 && column <= 7 && row >= 2 && row <= 3) || (column === 0 && row === 1);
  draw(town, 'rect', { class: isPark ? 'park' : 'block', x, y, width: size, height: size, rx: 7 });
  if (isPark) {
    for (let tree = 0; tree < 5; tree += 1) {
      const [cx, cy] = [x + 9 + vary(column, row, tree) * (size - 18), y + 9 + vary(row, column, tree + 9) * (size - 18)];
      draw(town, 'circle', { class: 'tree', cx, cy, r: 5 + 3 * vary(tree, row, column) });
    }
    return;
  }
  const split = 0.35 + 0.3 * vary(column, row, 1);
  const first = (size - 12) * split;
  const second = size - 16 - first;
  const across = vary(column, row, 2) > 0.5;
  const house = (dx, dy, w, h) => draw(town, 'rect', { class: 'house', x: x + dx, y: y + dy, width: w, height: h, rx: 3 });
  house(6, 6, across ? first : size - 12, across ? size - 12 : first);
  if (across) house(first + 10, 6, second, (size - 12) * (0.4 + 0.5 * vary(column, row, 3)));
  else house(6, first + 10, (size - 12) * (0.4 + 0.5 * vary(column, row, 3)), second);
}

// Vehicles ------------------------------------------------------------------------------------------------------------

const vehicles = new Map(); // id -> {row, drawing, choice, angle}
let chosen = null;

database.follow('vehicles', {
  read: () => database.call('list_vehicles'),
  show: (rows) => {
    for (const id of vehicles.keys()) if (!rows.some((row) => row.id === id)) remove(id);
    rows.forEach(place);
    if (!vehicles.has(chosen) && rows.length > 0) choose(rows[0].id);
  },
  event: place,
});

function place(row) {
  const vehicle = vehicles.get(row.id) ?? add(row);
  vehicle.row = row;
  // The shorter way round: from west to north is a quarter to the right, not three to the left.
  const turn = ((ANGLES[row.heading] - vehicle.angle) % 360 + 540) % 360 - 180;
  vehicle.angle += turn;
  const { body, label, root } = vehicle.drawing;
  root.style.transform = `translate(${at(row.x)}px, ${at(row.y)}px)`;
  body.style.transform = `rotate(${vehicle.angle}deg)`;
  for (const part of root.querySelectorAll('.paint')) part.setAttribute('fill', row.colour);
  label.textContent = row.name;
  root.dataset.at = `${row.x},${row.y}`;
  vehicle.choice.style.setProperty('--colour', row.colour);
  vehicle.choice.lastChild.textContent = row.name;
  allow();
}

function add(row) {
  const root = draw($('traffic'), 'g', { class: 'vehicle', 'data-id': row.id });
  draw(root, 'circle', { class: 'ring', r: 31 });
  const body = draw(root, 'g', { class: 'body' });
  draw(body, 'rect', { class: 'paint', x: -11, y: -20, width: 22, height: 40, rx: 7 });
  draw(body, 'path', { class: 'glass', d: 'M -8 -7 q 8 -5 16 0 l -2 6 h -12 z M -6.5 12 h 13 l 1 4 q -7.5 3 -15 0 z' });
  draw(body, 'path', { class: 'light', d: 'M -8.5 -17.5 h 4 M 4.5 -17.5 h 4' });
  const label = draw(root, 'text', { y: 38 });
  root.onclick = () => choose(row.id);

  const choice = document.createElement('label');
  const radio = document.createElement('input');
  Object.assign(radio, { type: 'radio', name: 'vehicle', value: row.id, onchange: () => choose(row.id) });
  choice.append(radio, document.createElement('span'));
  $('vehicles').append(choice);

  const vehicle = { row, drawing: { root, body, label }, choice, angle: ANGLES[row.heading] };
  vehicles.set(row.id, vehicle);
  return vehicle;
}

function remove(id) {
  const { drawing, choice } = vehicles.get(id);
  drawing.root.remove();
  choice.remove();
  vehicles.delete(id);
}

// Driving -------------------------------------------------------------------------------------------------------------

function choose(id) {
  chosen = id;
  for (const [other, { drawing, choice }] of vehicles) {
    drawing.root.classList.toggle('chosen', other === id);
    choice.firstChild.checked = other === id;
  }
  $('traffic').append(vehicles.get(id).drawing.root); // above the others
  allow();
}

/** No button leaves the map. */
function allow() {
  const row = vehicles.get(chosen)?.row;
  if (!row) return;
  const edge = { north: row.y === 0, south: row.y === ROWS - 1, west: row.x === 0, east: row.x === COLUMNS - 1 };
  for (const button of document.querySelectorAll('[data-direction]')) {
    button.setAttribute('aria-disabled', edge[button.dataset.direction]); // not disabled: that would lose the focus
  }
}

async function drive(direction) {
  if (chosen === null) return;
  try {
    await database.call('move', { vehicle: chosen, direction });
    $('fault').textContent = '';
  } catch (error) {
    $('fault').textContent = error.message;
  }
}

for (const button of document.querySelectorAll('[data-direction]')) {
  button.onclick = () => drive(button.dataset.direction);
}

const KEYS = { ArrowUp: 'north', ArrowRight: 'east', ArrowDown: 'south', ArrowLeft: 'west' };
addEventListener('keydown', (event) => {
  if (!(event.key in KEYS) || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.type === 'radio') return; // there the arrow keys choose another vehicle
  event.preventDefault();
  drive(KEYS[event.key]);
});

drawTown();
