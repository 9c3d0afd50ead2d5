// node-smpp as a carrier: answers each text as its script says; ids are hexadecimal in the response, decimal in receipts.
const fs = require('fs');
const smpp = require('smpp');
const task = JSON.parse(process.argv[2]);
const tell = (did, more) => console.log(JSON.stringify({did, ...more}));
const links = [];
const offers = {};
const mute = {};
let last = 0x5eedab00;

function receipt(session, pdu, number, word, source) {
  const failed = word !== 'DELIVRD';
  const text = `id:${number} sub:001 dlvrd:${failed ? '000' : '001'} submit date:2607141205 done date:2607141205 `
    + `stat:${word} err:${failed ? '011' : '000'} text:`;
  session.deliver_sm({
    source_addr_ton: pdu.dest_addr_ton, source_addr_npi: pdu.dest_addr_npi, source_addr: pdu.destination_addr,
    dest_addr_ton: pdu.source_addr_ton, dest_addr_npi: pdu.source_addr_npi, destination_addr: pdu.source_addr,
    esm_class: 4, short_message: text,
  }, (answer) => tell('receipt', {text: source, status: answer.command_status, link: links.indexOf(session)}));
}

function submitted(session, pdu) {
  const payload = pdu.message_payload;
  const text = String(payload ? payload.message || payload : pdu.short_message.message);
  const order = task.script[text] || {};
  const status = (order.statuses || [])[offers[text] || 0] || 0;
  offers[text] = (offers[text] || 0) + 1;
  const number = ++last;
  tell('submit', {
    text, udh: Buffer.concat(pdu.short_message.udh || []).toString('hex'), source: pdu.source_addr,
    destination: pdu.destination_addr, esm_class: pdu.esm_class, data_coding: pdu.data_coding,
    registered_delivery: pdu.registered_delivery, link: links.indexOf(session), status,
    source_ton: pdu.source_addr_ton, to_ton: pdu.dest_addr_ton, to_npi: pdu.dest_addr_npi,
    sar: [pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum], tlv_1400: String(pdu[0x1400] || ''),
    payload: Boolean(payload),
  });
  if (order.cut && offers[text] === 1) {
    session.destroy();
    return;
  }
  const listener = order.other ? links.find((one) => one !== session) : session;
  const tellFate = () => receipt(listener, pdu, number, order.word || 'DELIVRD', text);
  const asked = status === 0 && pdu.registered_delivery & 1 && !order.mute;
  if (order.mute) mute[number.toString(16).toUpperCase()] = order.mute;
  if (asked && order.early) tellFate();
  setTimeout(() => {
    const named = status ? {command_status: status} : {message_id: number.toString(16).toUpperCase()};
    session.send(pdu.response(named));
    tell('answer', {text, status});
    if (asked && !order.early) setTimeout(tellFate, 20);
    if (order.leave) setTimeout(() => session.unbind((said) => tell('left', {status: said.command_status})), 100);
  }, order.late_ms || (order.early ? 200 : 0));
  if (status === 0) (order.mo || []).forEach((one) => originate(session, pdu, one));
}

function originate(session, pdu, mo) {
  session.deliver_sm({
    source_addr_ton: 1, source_addr_npi: 1, source_addr: pdu.destination_addr, dest_addr_ton: 3, dest_addr_npi: 0,
    destination_addr: mo.to, esm_class: mo.udhi ? 0x40 : 0, short_message: Buffer.from(mo.hex, 'hex'),
  }, (answer) => tell('mo', {text: mo.hex, status: answer.command_status}));
}

const tls = task.key ? {key: fs.readFileSync(task.key), cert: fs.readFileSync(task.certificate)} : {};
function serve(session) {
  links.push(session);
  session.on('close', () => tell('closed'));
  session.on('error', (error) => tell('error', {error: String(error)}));
  for (const mode of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(mode, (pdu) => {
      const right = pdu.system_id === task.system_id && pdu.password === task.password;
      tell('bind', {mode, system_type: pdu.system_type, version: pdu.interface_version, right});
      session.send(pdu.response({command_status: right ? 0 : smpp.ESME_RINVPASWD, system_id: 'node'}));
    });
  }
  session.on('submit_sm', (pdu) => submitted(session, pdu));
  session.on('query_sm', (pdu) => {
    const state = mute[pdu.message_id];
    tell('query', {text: pdu.message_id, state: state || 0});
    const known = {message_id: pdu.message_id, final_date: '260714120500000+', message_state: state};
    session.send(pdu.response(state ? known : {command_status: smpp.ESME_RQUERYFAIL}));
  });
  session.on('enquire_link', (pdu) => { session.send(pdu.response()); tell('enquire'); });
  session.on('unbind', (pdu) => { session.send(pdu.response()); tell('unbind'); session.close(); });
}

if (task.dials) { // it calls us, says who it is, and is bound to on that link
  const session = smpp.connect({host: '127.0.0.1', port: task.dials});
  serve(session);
  session.on('connect', () => session.outbind(task.outbind));
} else {
  const server = smpp.createServer(tls, serve);
  server.listen(0, '127.0.0.1', () => tell('listening', {port: server.address().port}));
}
