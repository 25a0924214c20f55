// The page: a card for each item, with its price, a chart of the bids, and a countdown by the database's clock.
//
// An event says which item has changed, and the page reads that item. The database decides whether a bid is accepted;
// the SQLSTATE of a refusal is turned into a friendly message here.

import { connect } from './pgrpc.js';

const $ = (id) => document.getElementById(id);
const STATES = { connecting: 'Connecting …', open: 'Connected', lost: 'Not connected, retrying …' };
const euros = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR', trailingZeroDisplay: 'stripIfInteger' });
const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit' });

const database = connect({
  onState: (state) => {
    $('connection').dataset.state = state;
    $('connection').textContent = STATES[state];
  },
});

// Bidder --------------------------------------------------------------------------------------------------------------

const pick = (words) => words[Math.floor(Math.random() * words.length)];
const bidder = $('bidder');
bidder.value = sessionStorage.getItem('bidder')
  ?? `${pick(['Lady', 'Lord', 'Doctor', 'Captain', 'Madame'])} ${pick(['Amber', 'Birch', 'Cobalt', 'Fern', 'Slate', 'Thistle'])}`;
bidder.onchange = () => {
  bidder.value = bidder.value.trim() || 'Somebody';
  remember();
  for (const lot of lots.values()) show(lot.data);
};
const remember = () => sessionStorage.setItem('bidder', bidder.value);
remember();

// Items ---------------------------------------------------------------------------------------------------------------

const lots = new Map(); // id -> {data, card}
let ahead = 0; // milliseconds by which the database's clock is ahead of this one
let turn = Promise.resolve();

/** Calls run side by side: one read waits for the other, so that an older answer cannot come after a newer one. */
function inTurn(work) {
  turn = turn.then(work, work);
  return turn;
}

database.follow('auction', {
  read: () => inTurn(() => database.call('list_lots')),
  show: (all) => all.forEach(show),
  event: ({ item }) => {
    // Where the connection is lost meanwhile, all are read once it is back.
    inTurn(async () => show(await database.call('read_lot', { item }))).catch(() => {});
  },
});

function show(data) {
  const known = lots.get(data.id);
  ahead = known?.data === data ? ahead : Date.parse(data.now) - Date.now();
  const card = known?.card ?? addCard(data);
  lots.set(data.id, { data, card });

  const highest = data.bids.at(-1);
  const isMine = highest?.bidder === bidder.value;
  card.querySelector('h2').textContent = data.title;
  card.querySelector('.about').textContent = data.about;
  card.querySelector('.price').textContent = euros.format(highest?.amount ?? data.start);
  card.querySelector('.leader').textContent = highest ? (isMine ? 'by you' : `by ${highest.bidder}`) : 'starting price';
  card.classList.toggle('mine', isMine);
  const input = card.querySelector('input');
  if (document.activeElement !== input || input.value === '' || number(input.value) < data.least) {
    input.value = String(data.least);
  }
  drawChart(card.querySelector('.chart'), data);
  tick(data, card);
}

function addCard({ id, title }) {
  const card = $('lot').content.cloneNode(true).querySelector('article');
  card.dataset.item = id;
  card.setAttribute('aria-label', title);
  card.querySelector('form').onsubmit = (event) => {
    event.preventDefault();
    bid(id, card);
  };
  card.querySelector('.again').onclick = () => attempt(card, async () => {
    await database.call('open_again', { item: id });
    say(card, '');
  });
  $('lots').append(card);
  return card;
}

// Bidding -------------------------------------------------------------------------------------------------------------

const number = (text) => Number(text.replace(',', '.'));

const KINDLY = {
  AU002: () => 'Too late: the item is sold.',
  AU003: (lot) => `There is a higher bid. Bid ${euros.format(lot.data.least)} or more.`,
  AU004: () => 'Your bid is already the highest. Wait for other bids.',
};

function bid(item, card) {
  return attempt(card, async () => {
    const amount = number(card.querySelector('input').value);
    await database.call('place_bid', { item, bidder: bidder.value, amount }); // the new price arrives as an event, as in all other windows
    say(card, `You bid ${euros.format(amount)}.`, 'good');
  });
}

async function attempt(card, work) {
  try {
    await work();
  } catch (error) {
    const kindly = KINDLY[error.data?.sqlstate];
    say(card, kindly ? kindly(lots.get(Number(card.dataset.item))) : error.message, 'bad');
  }
}

function say(card, words, kind = '') {
  const said = card.querySelector('.said');
  said.textContent = words;
  said.dataset.kind = kind;
}

// The countdown -------------------------------------------------------------------------------------------------------

function tick({ ends_at: end }, card) {
  const left = Math.max(0, Math.ceil((Date.parse(end) - Date.now() - ahead) / 1000));
  const words = left === 0 ? 'Sold' : `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`;
  const countdown = card.querySelector('.countdown');
  if (countdown.textContent !== words) countdown.textContent = words;
  card.classList.toggle('over', left === 0);
  card.classList.toggle('soon', left > 0 && left <= 30);
  card.querySelector('form').hidden = left === 0;
  card.querySelector('.again').hidden = left > 0;
}

setInterval(() => {
  for (const { data, card } of lots.values()) tick(data, card);
}, 250);

// The chart -----------------------------------------------------------------------------------------------------------

function draw(parent, tag, attributes = {}, text = '') {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return parent.appendChild(made);
}

/** A price holds until the next bid: steps, not slopes. */
function drawChart(chart, { title, start, bids, opened_at: opened, ends_at: end, now }) {
  const [left, right, top, bottom] = [40, 314, 8, 128];
  const first = bids.length > 0 ? Math.min(Date.parse(opened), Date.parse(bids[0].at)) : Date.parse(opened);
  const last = Math.max(first + 1000, Math.min(Date.parse(now), Date.parse(end)));
  const high = Math.max(start * 1.1, ...bids.map(({ amount }) => amount));
  const low = start * 0.9;
  const x = (at) => left + (right - left) * (Math.min(last, Date.parse(at)) - first) / (last - first);
  const y = (amount) => bottom - (bottom - top) * (amount - low) / (high - low);

  chart.replaceChildren();
  draw(chart, 'title', {}, bids.length === 0 ? `No bids on ${title} yet`
    : `${bids.length} bids on ${title}, from ${euros.format(bids[0].amount)} to ${euros.format(bids.at(-1).amount)}`);
  for (const share of [0, 0.5, 1]) {
    const amount = low + (high - low) * share;
    draw(chart, 'line', { class: 'grid', x1: left, x2: right, y1: y(amount), y2: y(amount) });
    draw(chart, 'text', { x: left - 6, y: y(amount) + 4, 'text-anchor': 'end' }, euros.format(Math.round(amount)));
  }
  draw(chart, 'text', { x: left, y: 144 }, clock.format(first));
  draw(chart, 'text', { x: right, y: 144, 'text-anchor': 'end' }, clock.format(last));
  if (bids.length === 0) {
    draw(chart, 'text', { class: 'none', x: (left + right) / 2, y: 72, 'text-anchor': 'middle' }, 'No bids yet');
    return;
  }
  let path = `M ${x(bids[0].at)} ${y(bids[0].amount)}`;
  for (const { at, amount } of bids.slice(1)) path += ` H ${x(at)} V ${y(amount)}`;
  path += ` H ${right}`;
  draw(chart, 'path', { class: 'area', d: `${path} V ${bottom} H ${x(bids[0].at)} Z` });
  draw(chart, 'path', { class: 'line', d: path });
  for (const { at, amount, bidder: who } of bids) {
    const dot = draw(chart, 'circle', { class: who === bidder.value ? 'dot own' : 'dot', cx: x(at), cy: y(amount), r: 3.5 });
    draw(dot, 'title', {}, `${euros.format(amount)} by ${who}, ${clock.format(Date.parse(at))}`);
  }
}
