'use strict';
// Instance exec as Serverless Devs' fc3 component speaks it: npm's ws, the legacy FC signature, a
// Host without port, frames that begin with 1 (stdout) or 2 (stderr), a ping now and then.
const crypto = require('node:crypto');
const http = require('node:http');
const querystring = require('node:querystring');
const test = require('node:test');
const WebSocket = require('ws');
const { assert, client, fc, deploy, remove, invoke, waitFor } = require('./client');

const name = 'exec-sdk', slow = 'exec-sdk-slow';  // slow: its program lives a while before it fails
let instanceId, slowId;

async function wake(fn, fields) {
  await deploy(fn, { idleTimeout: 3600, ...fields });
  await invoke(fn, 'wake');
  const { body } = await client.listInstances(fn, new fc.ListInstancesRequest({}));
  return body.instances[0].instanceId;
}

test.before(async () => {
  instanceId = await wake(name, {});
  slowId = await wake(slow, { environmentVariables: { ECHO_LISTEN_DELAY_MS: '8000' } });
});
test.after(async () => {
  await remove(name);
  await remove(slow);
});

// Each signature is good once, and its date has seconds.
const begin = Date.now();
let second = 0;
function headersFor(path, { secret = process.env.OKIBI_KEY_SECRET, date } = {}) {
  const headers = { accept: 'application/json', host: '127.0.0.1',
    date: (date ?? new Date(begin - 1000 * ++second)).toUTCString(),
    'user-agent': 'Node.js', 'x-fc-account-id': 'any' };
  const text = `GET\n\n\n${headers.date}\nx-fc-account-id:any\n${path}`;
  const signature = crypto.createHmac('sha256', secret).update(text, 'utf8').digest('base64');
  return { ...headers, authorization: `FC ${process.env.OKIBI_KEY_ID}:${signature}` };
}

// What came of it: {stdout, stderr, code, reason}, or {status, refusal}. `onOpen` gets the socket.
function exec(query, { id = instanceId, fn = name, onOpen = () => {}, ...how } = {}) {
  const path = `/2023-03-30/functions/${fn}/instances/${id}/exec`;
  const url = `ws://${process.env.OKIBI_ENDPOINT}${path}?${querystring.stringify(
    { FC_INSTANCE_EXEC_TIMEOUT: 600, tty: true, stdin: true, stdout: true, stderr: true, qualifier: 'LATEST', ...query })}`;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { headers: headersFor(path, how), agent: new http.Agent({ keepAlive: false }) });
    const got = { stdout: '', stderr: '', pongs: 0 };
    socket.on('unexpected-response', (request, incoming) => {
      const pieces = [];
      incoming.on('data', (piece) => pieces.push(piece));
      incoming.on('end', () => {
        request.destroy();
        resolve({ status: incoming.statusCode, refusal: JSON.parse(Buffer.concat(pieces).toString()) });
      });
    });
    socket.on('message', (message) => {
      assert.ok(message.length >= 2);
      if (message[0] === 1) got.stdout += message.subarray(1);
      else if (message[0] === 2) got.stderr += message.subarray(1);
      else assert.fail(`a frame of kind ${message[0]}`);
    });
    socket.on('pong', () => { ++got.pongs; });
    socket.on('error', (error) => { if (!/Unexpected server response/.test(error.message)) reject(error); });
    socket.on('open', () => onOpen(socket, got));
    socket.on('close', (code, reason) => resolve({ ...got, code, reason: reason.toString() }));
  });
}

test('without a terminal stdout and stderr are told apart, and the exit code is the closing reason', async () => {
  const end = await exec({ tty: false, command: ['/echo'] });  // the port is taken
  assert.equal(end.stdout, '');
  assert.match(end.stderr, /cannot listen on port 9000/);
  assert.equal(end.code, 1000);
  assert.match(end.reason, /^exit code [1-9]/);
});

test('with a terminal all is stdout', async () => {
  const end = await exec({ command: ['/echo'] });
  assert.match(end.stdout, /cannot listen on port 9000.*\r\n/);
  assert.equal(end.stderr, '');
  assert.match(end.reason, /^exit code [1-9]/);
});

test('pings are answered, and what is sent is typed into the terminal', async () => {
  const end = await exec({ command: ['/echo'] }, { fn: slow, id: slowId,
    onOpen: async (socket, got) => {
      socket.ping();
      await waitFor(() => got.pongs > 0, 'a pong');
      socket.send(new Uint8Array(Buffer.from('typed')));
      await waitFor(() => got.stdout.includes('typed'), "the terminal's echo");
      socket.send(new Uint8Array([3]));  // Ctrl-C
    } });
  assert.equal(end.pongs, 1);
  assert.equal(end.code, 1000);
  assert.equal(end.reason, 'exit code 130');
});

test('the client may close', async () => {
  const end = await exec({ command: ['/echo'] }, { fn: slow, id: slowId,
    onOpen: (socket) => socket.close(1000) });
  assert.equal(end.code, 1000);
  assert.equal(end.stderr, '');
});

test('refusals come before the upgrade and carry ErrorMessage', async () => {
  const refused = async (status, code, message, query, how) => {
    const end = await exec(query, how);
    assert.equal(end.status, status, JSON.stringify(end));
    assert.equal(end.refusal.Code, code);
    assert.equal(end.refusal.ErrorCode, code);
    assert.match(end.refusal.ErrorMessage, message);
    assert.equal(end.refusal.Message, end.refusal.ErrorMessage);
  };
  const command = ['/echo'];
  await refused(400, 'InvalidArgument', /^exec: '\/missing': No such file/, { command: ['/missing'] });
  await refused(400, 'InvalidArgument', /^command: is missing/, {});
  await refused(400, 'InvalidArgument', /^tty: 'maybe' is neither true nor false/, { command, tty: 'maybe' });
  await refused(400, 'InvalidArgument', /^FC_INSTANCE_EXEC_TIMEOUT: '0' is not in 1/, { command, FC_INSTANCE_EXEC_TIMEOUT: 0 });
  await refused(404, 'InstanceNotFound', /no live instance 'c-none'/, { command }, { id: 'c-none' });
  await refused(404, 'FunctionNotFound', /does not exist/, { command }, { fn: 'nobody' });
  await refused(404, 'AliasNotFound', /./, { command, qualifier: 'prod' });
  await refused(403, 'SignatureNotMatch', /does not match/, { command }, { secret: 'wrong' });
  await refused(403, 'AccessDenied', /too large/, { command }, { date: new Date(0) });
});

test('a signature is good once', async () => {
  const date = new Date(Date.now() - 300000);
  assert.equal((await exec({ tty: false, command: ['/echo'] }, { date })).code, 1000);
  const again = await exec({ tty: false, command: ['/echo'] }, { date });
  assert.equal(again.status, 403);
  assert.match(again.refusal.ErrorMessage, /used before/);
});
