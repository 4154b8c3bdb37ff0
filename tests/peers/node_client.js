// A client made with npm's smpp (node-smpp): walks through all that a client may ask of the gateway and prints one JSON object of what it saw.
//
// Usage: node_client.js PORT SYSTEM_ID PASSWORD
'use strict';
const smpp = require('smpp');
const [port, system_id, password] = [Number(process.argv[2]), process.argv[3], process.argv[4]];
const seen = { errors: [] };

// A session that notes every delivery and answers it.
function connect() {
  return new Promise((resolve, reject) => {
    const session = smpp.connect({ host: '127.0.0.1', port });
    session.deliveries = [];
    session.on('connect', () => resolve(session));
    session.on('error', (error) => { seen.errors.push(String(error)); reject(error); });
    session.on('deliver_sm', (pdu) => {
      session.deliveries.push({
        esm_class: pdu.esm_class, id: pdu.receipted_message_id, state: pdu.message_state,
        source: pdu.source_addr, destination: pdu.destination_addr, text: text(pdu),
      });
      session.send(pdu.response());
    });
  });
}

const text = (pdu) => { const m = pdu.short_message && pdu.short_message.message; return Buffer.isBuffer(m) ? m.toString('latin1') : String(m); };
const ask = (session, command, options) => new Promise((resolve) => session[command](options || {}, resolve));
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
async function until(what, ms) {
  const end = Date.now() + ms;
  while (!what() && Date.now() < end) await pause(20);
}
const ended = (session) => new Promise((resolve) => session.on('close', resolve));
const message = (more) => Object.assign({
  source_addr: 'SHOP', source_addr_ton: 5, destination_addr: '8613800138000', dest_addr_ton: 1, dest_addr_npi: 1, registered_delivery: 1,
}, more);
const brief = (pdu) => ({ status: pdu.command_status, id: pdu.message_id });

async function transceiver() {
  const session = await connect();
  const bound = await ask(session, 'bind_transceiver', { system_id, password, interface_version: 0x34 });
  seen.bound = { status: bound.command_status, system_id: bound.system_id, version: bound.sc_interface_version };
  seen.gsm = brief(await ask(session, 'submit_sm', message({ short_message: 'price: 5 {ok}' })));
  seen.ucs2 = brief(await ask(session, 'submit_sm', message({ short_message: '您的验证码是 123456' })));
  seen.payload = brief(await ask(session, 'submit_sm', message({ message_payload: 'p'.repeat(400), short_message: '' })));
  seen.data = brief(await ask(session, 'data_sm', message({ message_payload: 'data' })));
  const udh = (number) => Buffer.from([5, 0, 3, 77, 2, number]);
  seen.parts = [
    brief(await ask(session, 'submit_sm', message({ short_message: { udh: udh(1), message: 'x'.repeat(153) } }))),
    brief(await ask(session, 'submit_sm', message({ short_message: { udh: udh(2), message: 'y'.repeat(20) } }))),
  ];
  const to = (addr) => ({ dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: addr });
  const multi = await ask(session, 'submit_multi', message({
    dest_address: [to('8613800138001'), to('8613800138002'), to('12345678901234567890')], short_message: 'to many',
  }));
  seen.multi = { status: multi.command_status, id: multi.message_id, unsuccess: multi.unsuccess_sme };
  const asked = 4 + 2 + 2;
  await until(() => session.deliveries.length >= asked, 20000);
  // What waits can be asked for, replaced and cancelled.
  const later = message({ short_message: 'tomorrow', schedule_delivery_time: '000001000000000R' });
  seen.deferred = brief(await ask(session, 'submit_sm', later));
  const ours = { message_id: seen.deferred.id, source_addr: 'SHOP', source_addr_ton: 5 };
  seen.waiting = await ask(session, 'query_sm', ours).then((pdu) => ({ status: pdu.command_status, state: pdu.message_state }));
  seen.replaced = brief(await ask(session, 'replace_sm', Object.assign({ short_message: 'the day after', registered_delivery: 1 }, ours)));
  seen.cancelled = brief(await ask(session, 'cancel_sm', Object.assign({ destination_addr: '8613800138000', dest_addr_ton: 1, dest_addr_npi: 1 }, ours)));
  await until(() => session.deliveries.some((d) => d.id === seen.deferred.id), 10000);
  seen.unknown = (await ask(session, 'query_sm', { message_id: '999', source_addr: 'SHOP', source_addr_ton: 5 })).command_status;
  seen.alive = (await ask(session, 'enquire_link')).command_status;
  seen.broadcast = (await ask(session, 'query_broadcast_sm', { message_id: '1' })).command_status;
  seen.receipts = session.deliveries;
  const closed = ended(session);
  seen.unbound = (await ask(session, 'unbind')).command_status;
  await closed;
}

// Submissions on one session, receipts on another; neither may do the other's work.
async function separate() {
  const tx = await connect(), rx = await connect();
  const bound = [await ask(tx, 'bind_transmitter', { system_id, password }), await ask(rx, 'bind_receiver', { system_id, password })];
  const sent = [];
  for (let i = 0; i < 10; i++) sent.push(brief(await ask(tx, 'submit_sm', message({ short_message: 'number ' + i }))));
  await until(() => rx.deliveries.length >= sent.length, 20000);
  const wrong = (await ask(rx, 'submit_sm', message({ short_message: 'not here' }))).command_status;
  seen.separate = { bound: bound.map((pdu) => pdu.command_status), sent, wrong, on_tx: tx.deliveries.length, receipts: rx.deliveries };
  const closed = [ended(tx), ended(rx)];
  await ask(tx, 'unbind');
  await ask(rx, 'unbind');
  await Promise.all(closed);
}

async function stranger() {
  const session = await connect();
  seen.refused = (await ask(session, 'bind_transceiver', { system_id, password: 'wrong' })).command_status;
  session.destroy();
}

transceiver().then(separate).then(stranger).then(() => {
  process.stdout.write(JSON.stringify(seen));
  process.exit(0);
}, (error) => {
  process.stderr.write(String(error.stack || error) + '\n' + JSON.stringify(seen));
  process.exit(1);
});
