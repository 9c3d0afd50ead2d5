// node-smpp as a platform: binds, submits a short message and a long one (SAR segments; UDH parts at 3.3), unbinds.
const fs = require('fs');
const smpp = require('smpp');
const task = JSON.parse(process.argv[2]);
const tell = (did, more) => console.log(JSON.stringify({did, ...more}));
const plain = {
  source_addr_ton: 5, source_addr: 'Shop', dest_addr_ton: 1, dest_addr_npi: 1, destination_addr: task.destination,
  registered_delivery: 1,
};
let owed = task.mo ? 1 : 0;

const tls = task.ca ? {tls: true, ca: fs.readFileSync(task.ca)} : {};
const session = smpp.connect({host: '127.0.0.1', port: task.port, auto_enquire_link_period: 60000, ...tls});
session.on('error', (error) => tell('error', {error: String(error)}));
session.on('close', () => { tell('closed'); process.exit(0); });
session.on('deliver_sm', (pdu) => {
  session.send(pdu.response());
  tell(pdu.esm_class === 0 ? 'mo' : 'receipt', {
    text: pdu.short_message.message.toString(), esm_class: pdu.esm_class, tlv_id: pdu.receipted_message_id,
    tlv_state: pdu.message_state, source: pdu.source_addr, destination: pdu.destination_addr,
  });
  owed -= 1;
  if (owed === 0) session.unbind((answer) => tell('unbind', {status: answer.command_status}));
});

function submit(did, fields) {
  owed += 1;
  session.submit_sm({...plain, ...fields}, (answer) => {
    tell(did, {status: answer.command_status, id: answer.message_id});
  });
}

session.on(task.ca ? 'secureConnect' : 'connect', () => {
  const login = {system_id: task.system_id, password: task.password, interface_version: task.version};
  session.bind_transceiver(login, (bound) => {
    tell('bind', {status: bound.command_status, system_id: bound.system_id, version: bound.sc_interface_version});
    submit('submit', {short_message: task.text});
    const parts = task.long.match(/.{1,60}/gs);
    parts.forEach((part, index) => {
      const octets = Buffer.from(part, 'utf16le').swap16();
      const head = Buffer.from([5, 0, 3, 47, parts.length, index + 1]);
      submit('long', task.version < 0x34 ? {
        data_coding: 8, esm_class: 0x40, short_message: Buffer.concat([head, octets]),
      } : {
        data_coding: 8, short_message: octets,
        sar_msg_ref_num: 4711, sar_total_segments: parts.length, sar_segment_seqnum: index + 1,
      });
    });
    session.enquire_link({}, (answer) => tell('enquire', {status: answer.command_status}));
  });
});
