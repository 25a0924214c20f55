// The front page: the functions and channels of this server (surface.json), over one WebSocket (rpc).
//
// Two rules. All data is inserted as text, never as HTML. And JSON is shown as it was written: a browser's numbers are
// exact up to 2^53, PostgreSQL's beyond, so results are cut out of the message's own text, and params are sent as they
// were typed.

const MAX_EVENTS = 200;
const MAX_SHOWN = 200_000; // characters of one answer or payload
const FIRST_DELAY = 500; // milliseconds; doubles up to the last
const LAST_DELAY = 30_000;
const RETRY = 5000; // milliseconds, for what is unavailable

const $ = (id) => document.getElementById(id);

/** A new element; children are nodes or text, null is left out. */
function element(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (name === 'class') made.className = value;
    else if (name.includes('-')) made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// JSON as text --------------------------------------------------------------------------------------------------------

const TOKEN = /[{}[\],:]|"[^"\\]*(?:\\.[^"\\]*)*"|[^\s{}[\],:"]+/g;

/** The members of a JSON object, each as the text it has there. The text is known to be valid. */
function members(text) {
  const found = new Map();
  let depth = 0;
  let key = null;
  let start = null;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const closes = token === '}' || token === ']';
    if (depth === 1 && start !== null && (token === ',' || closes)) {
      found.set(key, text.slice(start, index).trim());
      start = key = null;
    } else if (depth === 1 && key === null && token[0] === '"') {
      key = JSON.parse(token);
    } else if (depth === 1 && token === ':' && start === null) {
      start = index + 1;
    }
    if (closes) depth -= 1;
    else if (token === '{' || token === '[') depth += 1;
  }
  return found;
}

/** JSON text, indented and coloured, each token as it is. */
function pretty(text) {
  const shown = document.createDocumentFragment();
  if (text.length > MAX_SHOWN) {
    shown.append(`${text.slice(0, MAX_SHOWN)}\n… and ${text.length - MAX_SHOWN} more characters`);
    return shown;
  }
  const tokens = text.match(TOKEN) ?? [];
  let indent = '\n';
  tokens.forEach((token, i) => {
    const next = tokens[i + 1];
    if (token === '{' || token === '[') {
      const empty = next === '}' || next === ']';
      if (!empty) indent += '  ';
      shown.append(empty ? token : token + indent);
    } else if (token === '}' || token === ']') {
      const empty = tokens[i - 1] === '{' || tokens[i - 1] === '[';
      if (!empty) indent = indent.slice(0, -2);
      shown.append(empty ? token : indent + token);
    } else if (token === ',') {
      shown.append(token + indent);
    } else if (token === ':') {
      shown.append(': ');
    } else {
      const kind = token[0] === '"' ? (next === ':' ? 'key' : 'string') : /^[-\d]/.test(token) ? 'number' : 'word';
      shown.append(element('span', { class: kind }, token));
    }
  });
  return shown;
}

// The connection ------------------------------------------------------------------------------------------------------

const CLOSED = {
  1001: 'the server or a proxy closed the connection',
  1006: 'the connection broke or could not be opened',
  1009: 'a message was too large',
  1011: 'the server had an internal error',
  1012: 'the server is restarting',
  1013: 'the server is overloaded',
  4401: 'authentication required',
  4408: 'this page was too slow',
};

let socket = null;
let leaving = false;
let attempts = 0; // since the last connection that held
let timer = null; // of the next attempt
let token = ''; // in memory only; empty: none
let lastId = 0;
const waiting = new Map(); // id -> takes the reply: (message, its text), or (null) if none will come

function show(state, words) {
  $('connection').dataset.state = state;
  $('connection').textContent = words;
}

function connect() {
  clearTimeout(timer);
  const address = new URL('rpc', location);
  address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  address.search = address.hash = '';
  const mine = token ? new WebSocket(address, ['pgrpc', `bearer.${token}`]) : new WebSocket(address);
  let opened = 0;
  socket = mine;
  mine.onopen = () => {
    opened = Date.now();
    show('open', 'Connected');
    subscribe([...wanted.keys()]);
    if (attempts > 0) loadSurface(); // a server that restarted may offer something else
  };
  mine.onmessage = ({ data }) => receive(data);
  mine.onclose = ({ code, reason }) => {
    if (mine !== socket) return;
    drop();
    if (leaving) return;
    // A server that accepts and closes at once must not be hammered: only a connection that held starts over.
    attempts = opened && Date.now() - opened > 5000 ? 1 : attempts + 1;
    const delay = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** (attempts - 1)) * (0.5 + Math.random() / 2);
    const why = (CLOSED[code] ?? 'the connection was closed') + (reason ? `: ${reason}` : '');
    show('lost', `Not connected: ${why} (${code}). Retrying in ${Math.max(1, Math.round(delay / 1000))} s.`);
    timer = setTimeout(() => {
      show('connecting', 'Connecting …');
      connect();
    }, delay);
  };
}

/** The socket is gone: no reply will come, and no channel is subscribed. */
function drop() {
  socket = null;
  for (const take of [...waiting.values()]) take(null);
  for (const channel of wanted.values()) channel.state = 'waiting';
  showChannels();
}

function isOpen() {
  return socket !== null && socket.readyState === WebSocket.OPEN;
}

/** Sends a request whose params are JSON text, or '' for none. Returns its id. */
function request(method, params, take) {
  const id = ++lastId;
  waiting.set(id, (message, text) => {
    waiting.delete(id);
    take(message, text);
  });
  const rest = params === '' ? '' : `,"params":${params}`;
  socket.send(`{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)}${rest}}`);
  return id;
}

function receive(text) {
  const message = JSON.parse(text);
  // An error without an id is about what could not be read: of ours, that can only be what was typed.
  if (typeof message.method !== 'string') waiting.get(message.id ?? running)?.(message, text);
  else if (message.method === 'rpc.gap') queueEvent({ gap: message.params });
  else queueEvent({ channel: message.params.channel, payload: message.params.payload, text });
}

// Surface -------------------------------------------------------------------------------------------------------------

let reload = null; // timer, while parameters are unknown
let surface = { functions: [], channels: [] };

async function loadSurface() {
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const response = await fetch(new URL('surface.json', location), { cache: 'no-store', headers });
    if (response.status === 401) {
      $('identity').hidden = false;
      notice(`Authentication required: ${(await response.text()).trim()}.`);
      return;
    }
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    surface = await response.json();
  } catch (error) {
    if (!leaving) notice(`Cannot load the functions and channels: ${error.message}.`);
    return;
  }
  $('identity').hidden = !surface.auth;
  const unavailable = surface.functions.some((f) => f.params === null);
  clearTimeout(reload);
  if (unavailable) reload = setTimeout(loadSurface, RETRY);
  $('name').textContent = document.title = surface.name;
  $('version').textContent = surface.version;
  notice(unavailable ? 'The database is unavailable, so the parameters of some functions are unknown. Enter them as JSON.' : '');
  showFunctions();
  showChannels();
}

function notice(words) {
  $('notice').textContent = words;
  $('notice').hidden = words === '';
}

// Functions -----------------------------------------------------------------------------------------------------------

let picked = '';

function showFunctions() {
  const rows = [];
  for (const { method, description, params, overloads } of surface.functions) {
    for (const overload of [params, ...(overloads ?? [])]) {
      // An overload is its params' schema, or that with its own description around it.
      const form = overload && 'params' in overload ? overload : { params: overload };
      rows.push(functionRow(method, form.description ?? description, form.params ?? null));
    }
  }
  $('functions').replaceChildren(...rows);
  $('functions-count').textContent = rows.length || '';
  if (rows.length === 0) $('functions').append(element('li', { class: 'quiet' }, 'No functions are listed.'));
}

function functionRow(method, description, schema) {
  const names = schema === null ? ['…'] : inOrder(schema).map(([name, , isOptional]) => (isOptional ? `[${name}]` : name));
  const signature = `(${names.join(', ')})`;
  const button = element(
    'button',
    { type: 'button', 'aria-pressed': String(picked === method + signature) },
    element('code', {}, element('span', { class: 'method' }, method), signature),
    description ? element('span', { class: 'quiet' }, description) : null,
  );
  button.onclick = () => {
    picked = method + signature;
    press(button);
    pick(method, schema);
  };
  return element('li', {}, button);
}

function press(button) {
  for (const other of $('functions').querySelectorAll('button')) other.setAttribute('aria-pressed', String(other === button));
}

/** [name, its schema, may it be left out] for each argument, in order. */
function inOrder(schema) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {}).map(([name, of]) => [name, of, !required.has(name)]);
}

/** An example value of a schema, as JSON text. */
function example(schema) {
  if (schema === null || typeof schema !== 'object') return 'null';
  if ('default' in schema) return JSON.stringify(schema.default);
  if (schema.enum?.length) return JSON.stringify(schema.enum[0]);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  const number = String(Math.max(0, schema.minimum ?? 0));
  return { integer: number, number, string: '""', boolean: 'false', array: '[]', object: '{}' }[type] ?? 'null';
}

function typeName({ type, enum: values, format }) {
  const types = [type ?? []].flat().filter((name) => name !== 'null');
  return values ? values.filter((value) => value !== null).join(' | ') : (format ?? (types.join(' or ') || 'any JSON'));
}

/** Fills the form. Optional parameters are offered, not filled in: a null would replace the function's default. */
function pick(method, schema) {
  $('method').value = method;
  const args = schema === null ? [] : inOrder(schema);
  const help = args.map(([name, of]) => `${name}: ${typeName(of)}`).join(', ');
  $('params').value = '{}';
  $('params-help').textContent = schema === null ? 'Its parameters are unknown.' : help;
  $('optional').replaceChildren();
  for (const [name, of, isOptional] of args) {
    if (!isOptional) {
      addParam(name, example(of));
    } else {
      const button = element('button', { type: 'button', 'aria-label': `Add ${name}` }, `+ ${name}`);
      button.onclick = () => addParam(name, example(of));
      $('optional').append(button);
    }
  }
  $('optional').hidden = $('optional').childElementCount === 0;
  fault('');
  $('call').scrollIntoView({ block: 'nearest' });
  if (matchMedia('(pointer: fine)').matches) $('params').focus({ preventScroll: true }); // not to raise a phone's keyboard
}

function addParam(name, value) {
  const typed = $('params').value.trim() || '{}';
  let parsed;
  try {
    parsed = JSON.parse(typed);
  } catch (error) {
    return fault(`Not JSON: ${error.message}`);
  }
  if (typed[0] !== '{') return fault('Named parameters need an object: {…}.');
  fault('');
  if (Object.hasOwn(parsed, name)) return;
  const before = typed.slice(0, -1).trimEnd() + (Object.keys(parsed).length ? ',' : '');
  $('params').value = `${before}\n  ${JSON.stringify(name)}: ${value}\n}`;
}

function fault(words) {
  $('params-fault').textContent = words;
  $('params').setAttribute('aria-invalid', String(words !== ''));
}

// Calls ---------------------------------------------------------------------------------------------------------------

let running = null; // the id of the call that the form waits for

function call() {
  const params = $('params').value.trim();
  try {
    const value = params === '' ? [] : JSON.parse(params);
    if (value === null || typeof value !== 'object') return fault('Params must be a JSON object or array.');
  } catch (error) {
    return fault(`Not JSON: ${error.message}`);
  }
  fault('');
  if (!isOpen()) return answer('error', 'Not connected: the call was not sent.');
  const started = performance.now();
  answer('running', 'Running …');
  setRunning(request($('method').value.trim(), params, (message, text) => {
    setRunning(null);
    const took = performance.now() - started;
    $('took').textContent = took < 1000 ? `${took.toFixed(1)} ms` : `${(took / 1000).toFixed(2)} s`;
    if (message === null) return answer('error', 'The connection was lost. The call may or may not have run.');
    const parts = members(text);
    if (!message.error) return answer('result', 'Result', parts.get('result'));
    return answer('error', `Error ${message.error.code}: ${message.error.message}`, members(parts.get('error')).get('data'));
  }));
  return undefined;
}

function setRunning(id) {
  running = id;
  $('send').disabled = id !== null;
  $('cancel').hidden = id === null;
  $('cancel').disabled = false;
  if (id !== null) $('took').textContent = '';
}

function answer(kind, words, json) {
  $('answer').hidden = false;
  $('outcome').dataset.kind = kind;
  $('outcome').textContent = words;
  $('output').hidden = json === undefined;
  $('output').replaceChildren(json === undefined ? '' : pretty(json));
}

// Channels ------------------------------------------------------------------------------------------------------------

const wanted = new Map(); // exact name -> {state: 'waiting' | 'on', granted: was it ever on}
const refused = new Map(); // exact name -> why
const rooms = new Map(); // glob -> the names typed for it, which are listed below it

/** Subscribes, and keeps the subscription over reconnects. */
function subscribe(names) {
  for (const name of names) {
    refused.delete(name);
    wanted.set(name, { state: 'waiting', granted: wanted.get(name)?.granted ?? false });
  }
  showChannels();
  if (names.length === 0 || !isOpen()) return; // then at the next connection
  const asked = new Map(names.map((name) => [name, wanted.get(name)]));
  const current = () => names.filter((name) => wanted.get(name) === asked.get(name)); // not changed meanwhile
  request('rpc.on', JSON.stringify(names), (message) => {
    if (message === null) return;
    for (const name of current()) {
      const said = message.error ? message.error.message : (message.result[name] ?? 'no reply');
      const subscription = asked.get(name);
      if (said === 'ok') {
        subscription.state = 'on';
        subscription.granted = true;
      } else {
        refused.set(name, said);
        // What was granted before is refused only temporarily, perhaps because the database is unavailable: retry.
        if (!subscription.granted) wanted.delete(name);
      }
    }
    showChannels();
    setTimeout(() => subscribe(current().filter((name) => refused.has(name))), RETRY);
  });
}

function unsubscribe(name) {
  wanted.delete(name);
  refused.delete(name);
  if (isOpen()) request('rpc.off', JSON.stringify([name]), () => {});
  showChannels();
}

function showChannels() {
  const rows = surface.channels.flatMap(({ name, glob }) =>
    glob ? [globRow(name), ...(rooms.get(name) ?? []).map(channelRow)] : [channelRow(name)],
  );
  // Rows that are there already stay, so that a box keeps what is being typed.
  const list = $('channels');
  const focused = document.activeElement;
  const old = new Map([...list.children].map((row) => [row.dataset.key, row]));
  const shown = rows.map((row) => {
    const before = old.get(row.dataset.key) ?? row;
    const hadFocus = before.contains(focused);
    if (before !== row && before.dataset.glob === undefined) before.replaceChildren(...row.childNodes);
    if (hadFocus && !focused.isConnected) before.querySelector('button').focus();
    return before;
  });
  if (shown.length !== list.children.length || shown.some((row, i) => row !== list.children[i])) {
    list.replaceChildren(...shown);
    if (focused.isConnected) focused.focus({ preventScroll: true }); // lost by moving its row
  }
  if (rows.length === 0) list.append(element('li', { class: 'quiet' }, 'No channels are listed.'));
}

function channelRow(name) {
  const state = refused.has(name) ? 'refused' : (wanted.get(name)?.state ?? 'off');
  const words = { on: 'subscribed', waiting: 'waiting …', refused: refused.get(name), off: '' }[state];
  const verb = wanted.has(name) ? 'Unsubscribe' : 'Subscribe';
  const purpose = `${verb} ${verb === 'Subscribe' ? 'to' : 'from'} ${name}`;
  const button = element('button', { type: 'button', 'aria-label': purpose }, verb);
  button.onclick = () => (wanted.has(name) ? unsubscribe(name) : subscribe([name]));
  const said = element('span', { 'data-state': state, 'aria-live': 'polite' }, words);
  return element('li', { 'data-key': name }, element('span', { class: 'name' }, element('code', {}, name), said), button);
}

function globRow(glob) {
  const input = element('input', {
    'aria-label': `Name of a channel such as ${glob}`,
    placeholder: glob.replace(/\*+/g, 'name'),
    spellcheck: false,
    autocapitalize: 'off',
    required: true,
  });
  const label = `Subscribe to a channel such as ${glob}`;
  const button = element('button', { type: 'submit', 'aria-label': label }, 'Subscribe');
  const form = element('form', { autocomplete: 'off' }, input, button);
  form.onsubmit = (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (name === '') return;
    if (!surface.channels.some((channel) => !channel.glob && channel.name === name)) {
      rooms.set(glob, [...new Set([...(rooms.get(glob) ?? []), name])]);
    }
    input.value = '';
    if (!wanted.has(name)) subscribe([name]);
  };
  return element('li', { 'data-key': `glob ${glob}`, 'data-glob': '' }, element('code', {}, glob), form);
}

// Events --------------------------------------------------------------------------------------------------------------

let received = 0;
let queue = []; // events since the page was last painted, bounded like the page

function queueEvent(event) {
  received += 1;
  event.at = new Date();
  if (queue.push(event) === 1) setTimeout(showEvents, 50);
  if (queue.length > MAX_EVENTS) queue.shift();
}

function showEvents() {
  const list = $('events');
  list.prepend(...queue.map(eventRow).reverse());
  while (list.children.length > MAX_EVENTS) list.lastChild.remove();
  queue = [];
  $('no-events').hidden = list.children.length > 0;
  $('clear').hidden = list.children.length === 0;
  $('received').textContent = received === 0 ? '' : `${received} received${received > MAX_EVENTS ? `, the last ${MAX_EVENTS} shown` : ''}`;
}

function eventRow({ gap, channel, payload, text, at }) {
  const time = element('time', { class: 'quiet', dateTime: at.toISOString() }, at.toLocaleTimeString());
  if (gap) {
    const about = element('div', { class: 'about' }, element('strong', {}, 'Gap'), time);
    const words = `Events on ${gap.channels.join(', ')} may have been lost${gap.reason ? ` (${gap.reason})` : ''}.`;
    return element('li', { class: 'gap' }, about, words);
  }
  const isText = typeof payload === 'string';
  const shown = isText ? payload : pretty(members(members(text).get('params')).get('payload'));
  return element('li', {}, element('div', { class: 'about' }, element('code', {}, channel), time), element('pre', {}, shown));
}

// Begin ---------------------------------------------------------------------------------------------------------------

$('call').onsubmit = (event) => {
  event.preventDefault();
  if (running === null) call();
};
$('params').onkeydown = (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    $('call').requestSubmit();
  }
};
$('method').oninput = () => {
  picked = '';
  press(null);
  $('params-help').textContent = '';
  $('optional').hidden = true;
};
$('identity').onsubmit = (event) => {
  event.preventDefault();
  token = $('token').value.trim();
  const old = socket;
  drop();
  old?.close();
  attempts = 0;
  connect();
  loadSurface();
};
$('cancel').onclick = () => {
  $('cancel').disabled = true;
  if (isOpen()) socket.send(`{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":${running}}}`);
};
$('clear').onclick = () => {
  $('events').replaceChildren();
  received = 0;
  showEvents();
};

// A page that is left neither holds a socket nor opens one; one that comes back from the browser's cache does.
addEventListener('pagehide', () => {
  leaving = true;
  clearTimeout(timer);
  clearTimeout(reload);
  socket?.close();
});
addEventListener('pageshow', ({ persisted }) => {
  if (!persisted) return;
  leaving = false;
  drop();
  connect();
});
addEventListener('online', () => {
  if (socket === null && !leaving) connect();
});

loadSurface();
connect();
