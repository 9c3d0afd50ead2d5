// node-smpp as a platform that asks after its messages, changes and takes back some, submits by data_sm and submit_multi.
const smpp = require('smpp');
const task = JSON.parse(process.argv[2]);
const tell = (did, more) => console.log(JSON.stringify({did, ...more}));
const source = {source_addr_ton: 5, source_addr: 'Shop'};
const from = {...source, registered_delivery: 1};
const to = (number) => ({dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: number});
let heard = 0;
let awaited = () => {};

const session = smpp.connect({url: `smpp://127.0.0.1:${task.port}`});
const ask = (command, fields) => new Promise((resolve) => session[command](fields, resolve));
const receipts = (count) => new Promise((resolve) => {
  awaited = () => heard >= count && resolve();
  awaited();
});
session.on('error', (error) => tell('error', {error: String(error)}));
session.on('close', () => { tell('closed'); process.exit(0); });
session.on('deliver_sm', (pdu) => {
  session.send(pdu.response());
  tell('receipt', {text: pdu.short_message.message.toString(), destination: pdu.source_addr});
  heard += 1;
  awaited();
});

async function submit(number, fields = {}) {
  const answer = await ask('submit_sm', {...from, ...to(number), short_message: task.text, ...fields});
  tell('submit', {status: answer.command_status, id: answer.message_id, destination: number});
  return answer.message_id;
}

async function query(of, id) {
  const answer = await ask('query_sm', {...source, message_id: id});
  tell('query', {
    of, status: answer.command_status, state: answer.message_state, final: Boolean(answer.final_date),
    id: answer.message_id,
  });
}

async function replace(of, id) {
  const answer = await ask('replace_sm', {...from, message_id: id, short_message: task.replaced});
  tell('replace', {of, status: answer.command_status});
}

async function cancel(of, id, number) {
  const answer = await ask('cancel_sm', {...source, ...to(number), message_id: id});
  tell('cancel', {of, status: answer.command_status});
}

session.on('connect', async () => {
  const login = {system_id: task.system_id, password: task.password, interface_version: 0x34};
  const bound = await ask('bind_transceiver', login);
  tell('bind', {status: bound.command_status});
  const sent = await submit(task.near);
  await receipts(1);
  await query('delivered', sent);
  const waiting = await submit(task.away);
  await query('waiting', waiting);
  await cancel('waiting', waiting, task.away);
  await receipts(2);
  await query('cancelled', waiting);
  await cancel('cancelled', waiting, task.away);
  await query('unknown', 'NOSUCHMESSAGE');
  await submit(task.away);
  await cancel('by address', '', task.away);
  await receipts(3);
  const later = await submit(task.near, {schedule_delivery_time: new Date(Date.now() + 2000)});
  await query('scheduled', later);
  await replace('scheduled', later);
  await replace('delivered', sent);
  await receipts(4);
  const empty = await ask('data_sm', {...from, ...to(task.near)});
  tell('data refused', {status: empty.command_status});
  const data = await ask('data_sm', {...from, ...to(task.near), message_payload: task.data});
  tell('data', {status: data.command_status, id: data.message_id});
  await receipts(5);
  const multi = await ask('submit_multi', {
    ...from, dest_address: [to(task.near), to(task.other), to(task.nowhere)], short_message: task.multi,
  });
  tell('multi', {
    status: multi.command_status, id: multi.message_id,
    failed: multi.unsuccess_sme.map((one) => [one.destination_addr, one.error_status_code]),
  });
  await receipts(7);
  const gone = await ask('unbind', {});
  tell('unbind', {status: gone.command_status});
});
