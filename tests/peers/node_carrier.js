// A carrier made with npm's smpp (node-smpp), with habits of its own. Prints its port as the first line; answers submits and sends receipts until
// its standard input ends, then prints one JSON object of what it saw and leaves.
//
// Usage: node_carrier.js HABIT
//   hex    transceivers; ids in upper-case hex in answers, in decimal in receipts, which have no TLVs; each fifth receipt comes before its answer,
//          each seventh twice
//   apart  transmitters and receivers; UUIDs; receipts on the receiver
'use strict';
const smpp = require('smpp');
const habit = process.argv[2];
const seen = { binds: {}, submits: [], receipts: 0, delivery_statuses: {}, enquired: 0, unbinds: 0, errors: [] };
const receivers = [];
let next = 0x1A2B3C;

const two = (n) => String(n).padStart(2, '0');
function date(d) {
  return two(d.getUTCFullYear() % 100) + two(d.getUTCMonth() + 1) + two(d.getUTCDate()) + two(d.getUTCHours()) + two(d.getUTCMinutes());
}

function receipt(session, pdu, id) {
  const now = date(new Date());
  const text = `id:${id} sub:001 dlvrd:001 submit date:${now} done date:${now} stat:DELIVRD err:000 text:`;
  const back = habit === 'apart' ? receivers[seen.receipts % receivers.length] : session;
  seen.receipts++;
  if (!back) return seen.errors.push('no receiver is bound');
  back.deliver_sm({
    source_addr: pdu.destination_addr, source_addr_ton: pdu.dest_addr_ton, source_addr_npi: pdu.dest_addr_npi,
    destination_addr: pdu.source_addr, dest_addr_ton: pdu.source_addr_ton, dest_addr_npi: pdu.source_addr_npi,
    esm_class: 4, short_message: text,
  }, (answer) => {
    const status = answer.command_status;
    seen.delivery_statuses[status] = (seen.delivery_statuses[status] || 0) + 1;
  });
}

function submit(session, pdu) {
  const number = ++next;
  const [answer_id, receipt_id] = habit === 'hex'
    ? [number.toString(16).toUpperCase(), String(number).padStart(10, '0')]
    : [`00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`, `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`];
  const m = pdu.short_message || {};
  seen.submits.push({
    source: pdu.source_addr, destination: pdu.destination_addr, ton: pdu.dest_addr_ton, data_coding: pdu.data_coding, esm_class: pdu.esm_class,
    text: Buffer.isBuffer(m.message) ? m.message.toString('hex') : m.message, parts: m.udh ? m.udh.length : (pdu.sar_total_segments || 0),
  });
  const answer = () => session.send(pdu.response({ message_id: answer_id }));
  const early = habit === 'hex' && number % 5 === 0;
  if (!early) answer();
  if (pdu.registered_delivery & 1) {
    setTimeout(() => receipt(session, pdu, receipt_id), early ? 0 : 10);
    if (habit === 'hex' && number % 7 === 0) setTimeout(() => receipt(session, pdu, receipt_id), 60);
  }
  if (early) setTimeout(answer, 50);
}

const server = smpp.createServer((session) => {
  const bind = (kind) => (pdu) => {
    seen.binds[kind] = (seen.binds[kind] || 0) + 1;
    if ((habit === 'apart') === (kind === 'transceiver')) return session.send(pdu.response({ command_status: smpp.ESME_RINVCMDID }));
    session.send(pdu.response({ system_id: 'node' }));
    if (kind === 'receiver') receivers.push(session);
  };
  session.on('bind_transceiver', bind('transceiver'));
  session.on('bind_transmitter', bind('transmitter'));
  session.on('bind_receiver', bind('receiver'));
  session.on('submit_sm', (pdu) => submit(session, pdu));
  session.on('enquire_link', (pdu) => { seen.enquired++; session.send(pdu.response()); });
  session.on('unbind', (pdu) => { seen.unbinds++; session.send(pdu.response()); session.close(); });
  session.on('error', (error) => seen.errors.push(String(error)));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(server.address().port + '\n'));
process.stdin.on('end', () => {
  process.stdout.write(JSON.stringify(seen) + '\n');
  process.exit(0);
});
process.stdin.resume();
