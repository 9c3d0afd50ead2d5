// node-smpp as a platform that waits to be called: it listens, is sent outbind, binds as a receiver on that very link.
const smpp = require('smpp');
const task = JSON.parse(process.argv[2]);
const tell = (did, more) => console.log(JSON.stringify({did, ...more}));

const server = smpp.createServer((session) => {
  session.on('error', (error) => tell('error', {error: String(error)}));
  session.on('close', () => { tell('closed'); process.exit(0); });
  session.on('outbind', (pdu) => {
    tell('outbind', {system_id: pdu.system_id, password: pdu.password});
    const login = {system_id: task.system_id, password: task.password, interface_version: 0x34};
    session.bind_receiver(login, (bound) => tell('bind', {status: bound.command_status}));
  });
  session.on('deliver_sm', (pdu) => {
    session.send(pdu.response());
    tell('receipt', {text: pdu.short_message.message.toString()});
    session.unbind((answer) => tell('unbind', {status: answer.command_status}));
  });
});
server.listen(task.port, '127.0.0.1', () => tell('listening'));
