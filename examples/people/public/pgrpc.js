// A pgrpc client in one file: copy it next to your page.
//
//   import { connect } from './pgrpc.js';
//
//   const database = connect({ onState: (state) => { ... } });   // 'connecting', 'open' or 'lost'
//   const sum = await database.call('add', { a: 1, b: 2 });      // an Error has code and data besides its message
//   const stop = database.follow('people', {
//     read: () => database.call('list_people'),                  // reads the current state
//     show: (people) => { ... },                                 // shows what was read
//     event: (person) => { ... },                                // shows one later change
//   });
//
// If the server requires tokens, pass a function: connect({ token }) calls it for the token to send, or null.
// onNotice(method, params) receives other notifications of the server, such as rpc.expiring and rpc.ended.
//
// After a lost connection the client reconnects, with a delay that grows and has a random part, so that the pages of a
// restarted server do not all return at once. A new connection has no subscriptions, so the client subscribes to each
// channel and reads it again. It does the same when the server reports that events may have been lost (rpc.gap).

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
  let tries = 0; // since the last reply of the server

  function open() {
    const url = new URL(address);
    url.protocol = url.protocol.replace('http', 'ws');
    onState('connecting');
    const bearer = token(); // browsers cannot set headers on a WebSocket, but a subprotocol
    socket = new WebSocket(url, bearer === null ? [] : ['pgrpc', `bearer.${bearer}`]);
    socket.onopen = () => {
      onState('open');
      for (const name of channels.keys()) subscribe(name);
    };
    socket.onmessage = ({ data }) => receive(JSON.parse(data));
    socket.onclose = () => {
      for (const { reject } of waiting.values()) reject(new Error('Connection lost: try again.'));
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
   * Subscribe, then read: in the other order, changes in between would be lost. Events that arrive while reading are held
   * until what was read is shown, which could otherwise undo them.
   */
  async function subscribe(name) {
    const channel = channels.get(name);
    const mine = socket;
    const turn = {}; // a later subscribe takes over
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

  /** Follow a channel; returns a function that stops it. */
  function follow(name, { read, show, event }) {
    const channel = { read, show, event, turn: null, held: null };
    channels.set(name, channel);
    if (socket.readyState === WebSocket.OPEN) subscribe(name);
    return () => {
      channel.turn = null;
      if (channels.get(name) !== channel) return;
      channels.delete(name);
      call('rpc.off', [name]).catch(() => {}); // a lost connection has no subscriptions anyway
    };
  }

  /** Reconnect immediately, with the current token. */
  function reconnect() {
    tries = 0;
    socket.close();
  }

  open();
  return { call, follow, reconnect };
}
