// A client of pgrpc in one file: copy it beside your page.
//
//   import { connect } from './pgrpc.js';
//
//   const database = connect({ onState: (state) => { ... } });   // 'connecting', 'open' or 'lost'
//   const sum = await database.call('add', { a: 1, b: 2 });      // an Error has code and data besides its message
//   const stop = database.follow('people', {
//     read: () => database.call('list_people'),                  // all there is
//     show: (people) => { ... },                                 // what was read
//     event: (person) => { ... },                                // what has changed since
//   });
//
// Where the server asks for tokens, connect({ token }) is a function that returns the one to come with, or null.
// onNotice(method, params) is told what else the server says, such as rpc.expiring and rpc.ended.
//
// A lost connection comes back after a delay that grows, with some chance in it: the pages of a server that restarts do
// not all return at one moment. A new connection hears nothing, so each channel is asked for and read again; the same
// where the server says that events may have been lost (rpc.gap).

const FIRST_DELAY = 500; // milliseconds
const LAST_DELAY = 30_000;

const delay = (tries) => Math.min(LAST_DELAY, FIRST_DELAY * 2 ** tries) * (0.5 + Math.random() / 2);

export function connect({
  address = new URL('rpc', document.baseURI), onState = () => {}, token = () => null, onNotice = () => {},
} = {}) {
  const waiting = new Map(); // id -> {resolve, reject}
  const channels = new Map(); // name -> {read, show, event, turn, held}
  let socket;
  let lastId = 0;
  let tries = 0; // since the server last answered

  function open() {
    const url = new URL(address);
    url.protocol = url.protocol.replace('http', 'ws');
    onState('connecting');
    const bearer = token(); // a browser can send no header with a WebSocket, but a subprotocol
    socket = new WebSocket(url, bearer === null ? [] : ['pgrpc', `bearer.${bearer}`]);
    socket.onopen = () => {
      onState('open');
      for (const name of channels.keys()) subscribe(name);
    };
    socket.onmessage = ({ data }) => receive(JSON.parse(data));
    socket.onclose = () => {
      for (const { reject } of waiting.values()) reject(new Error('The connection was lost: try again.'));
      waiting.clear();
      onState('lost');
      setTimeout(open, delay(tries));
      tries += 1;
    };
  }

  function call(method, params = []) {
    return new Promise((resolve, reject) => {
      if (socket.readyState !== WebSocket.OPEN) {
        reject(new Error('Not connected: try again.'));
        return;
      }
      lastId += 1;
      waiting.set(lastId, { resolve, reject });
      socket.send(JSON.stringify({ jsonrpc: '2.0', method, params, id: lastId }));
    });
  }

  function receive({ id, method, params, result, error }) {
    if (method === 'rpc.gap') {
      for (const name of params.channels) if (channels.has(name)) subscribe(name);
    } else if (method?.startsWith('rpc.')) {
      onNotice(method, params);
    } else if (method !== undefined) {
      const channel = channels.get(params.channel);
      if (channel?.held) channel.held.push(params.payload);
      else channel?.event(params.payload);
    } else {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      tries = 0;
      if (error) reject(Object.assign(new Error(error.message), error));
      else resolve(result);
    }
  }

  /**
   * Subscribe, then read: the other way round, what changes in between would be missed. What is heard while reading is
   * held until what was read is shown, which could otherwise take it back.
   */
  async function subscribe(name) {
    const channel = channels.get(name);
    const mine = socket;
    const turn = {}; // whoever begins after us takes over
    channel.turn = turn;
    channel.held = [];
    for (let failed = 0; channel.turn === turn && socket === mine && mine.readyState === WebSocket.OPEN; failed += 1) {
      let read;
      try {
        const answers = await call('rpc.on', [name]);
        if (answers[name] !== 'ok') throw new Error(answers[name]);
        read = await channel.read();
      } catch (error) {
        console.info(`${name}: ${error.message}`);
        await new Promise((resolve) => { setTimeout(resolve, delay(failed)); });
        continue;
      }
      if (channel.turn !== turn) return;
      channel.show(read);
      for (const payload of channel.held.splice(0)) channel.event(payload);
      channel.held = null;
      return;
    }
  }

  /** What to do with a channel from now on; call what it returns to stop. */
  function follow(name, { read, show, event }) {
    const channel = { read, show, event, turn: null, held: null };
    channels.set(name, channel);
    if (socket.readyState === WebSocket.OPEN) subscribe(name);
    return () => {
      channel.turn = null;
      if (channels.get(name) !== channel) return;
      channels.delete(name);
      call('rpc.off', [name]).catch(() => {}); // a lost connection hears nothing anyway
    };
  }

  /** Come back at once, with the token of now. */
  function reconnect() {
    tries = 0;
    socket.close();
  }

  open();
  return { call, follow, reconnect };
}
