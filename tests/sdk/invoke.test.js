'use strict';
// InvokeFunction, and who may call it.
const test = require('node:test');
const { assert, client, clientWith, deploy, failsWith, fc, invoke, okibi, remove, update, waitFor } = require('./client');

const name = 'sdk-echo';
test.before(() => deploy(name, { gpuConfig: new fc.GPUConfig({ gpuType: 'fc.gpu.tesla.1',
  gpuMemorySize: 1024 }) }));
test.after(() => remove(name));

test('invoke with log tail', async () => {
  const reply = await invoke(name, 'hello', { headers: { xFcLogType: 'Tail' } });
  assert.match(reply.headers['x-fc-request-id'], /^1-/);
  assert.equal(reply.text, 'hello');
  const tail = Buffer.from(reply.headers['x-fc-log-result'], 'base64').toString();
  assert.match(tail, new RegExp(`FC Invoke Start RequestId: ${reply.headers['x-fc-request-id']}`));
});

// `s invoke` prints it.
test('the checksum of the code is that of the image', async () => {
  const of = async () => (await invoke(name, 'x')).headers['x-fc-code-checksum'];
  const first = await of();
  assert.match(first, /^[1-9]\d{10,19}$/);
  assert.equal((await client.getFunction(name, new fc.GetFunctionRequest({}))).body.codeChecksum, first);
  const { instances } = (await client.listInstances(name, new fc.ListInstancesRequest({}))).body;
  await update(name, { description: 'the same image' });
  assert.equal(await of(), first);
  const after = (await client.listInstances(name, new fc.ListInstancesRequest({ qualifier: 'LATEST' }))).body.instances;
  assert.ok(after.some((one) => instances.every((old) => old.instanceId !== one.instanceId)), 'another instance');
});

test('thirty at once', async () => {
  const replies = await Promise.all(Array.from({ length: 30 }, (_, i) => invoke(name, `n${i}`)));
  const ids = new Set(replies.map((r) => r.headers['x-fc-request-id']));
  assert.equal(ids.size, 30);
});

test('a wrong secret and an unknown key are told apart, and nothing is served', async () => {
  const get = (c) => c.getFunction(name, new fc.GetFunctionRequest({}));
  await failsWith(get(clientWith(process.env.OKIBI_KEY_ID, 'wrong')), 'SignatureNotMatch', 403);
  await failsWith(get(clientWith('nobody', 'wrong')), 'InvalidAccessKeyID', 403);
});

test('an unknown function', async () => {
  await failsWith(invoke('none', ''), 'FunctionNotFound', 404);
});

test('disabled, nobody calls it; enabled, everybody does', async () => {
  const off = await client.disableFunctionInvocation(name, new fc.DisableFunctionInvocationRequest({
    abortOngoingRequest: true, reason: 'maintenance' }));
  assert.equal(off.body.success, true);
  await failsWith(invoke(name, 'x'), 'AccessDenied', 403, /maintenance/);
  const { body } = await client.getFunction(name, new fc.GetFunctionRequest({}));
  assert.equal(body.invocationRestriction.disable, true);
  assert.equal(body.invocationRestriction.reason, 'maintenance');
  assert.equal((await client.enableFunctionInvocation(name)).body.success, true);
  assert.equal((await invoke(name, 'again')).text, 'again');
  await failsWith(client.enableFunctionInvocation('none'), 'FunctionNotFound', 404);
});

test('asynchronous: 202, and it runs', async () => {
  const calls = async () => (await okibi('GET', 'usage', { query: { functionName: name } })).functions[0].calls;
  const before = await calls();
  const reply = await invoke(name, 'later', { headers: { xFcInvocationType: 'Async', xFcAsyncTaskId: 'task-1' } });
  assert.equal(reply.status, 202);
  assert.equal(reply.text, '');
  assert.equal(reply.headers['x-fc-async-task-id'], 'task-1');
  await waitFor(async () => (await calls()) > before, 'it ran');
  await failsWith(invoke(name, 'x', { headers: { xFcInvocationType: 'Async', xFcAsyncTaskId: '1x' } }),
    'InvalidArgument', 400, /x-fc-async-task-id/);
  await failsWith(invoke(name, 'x'.repeat(128 * 1024 + 1), { headers: { xFcInvocationType: 'Async' } }),
    'EntityTooLarge', 400);
  await failsWith(invoke('none', 'x', { headers: { xFcInvocationType: 'Async' } }), 'FunctionNotFound', 404);
  await failsWith(invoke(name, 'x', { headers: { xFcInvocationType: 'Later' } }), 'InvalidArgument', 400,
    /neither Sync nor Async/);
});

test('a timer trigger calls with its event', async () => {
  const input = (config) => new fc.CreateTriggerRequest({ body: new fc.CreateTriggerInput({
    triggerName: 'timer', triggerType: 'timer', triggerConfig: JSON.stringify(config) }) });
  await failsWith(client.createTrigger(name, input({ cronExpression: 'often', enable: true })),
    'InvalidArgument', 400, /cronExpression/);
  const made = await client.createTrigger(name, input({ cronExpression: '@every 1s', enable: true, payload: 'p' }));
  assert.equal(made.body.triggerType, 'timer');
  assert.equal(made.body.httpTrigger, undefined);
  const listed = async () => (await okibi('GET', 'invocations', { query: { functionName: name, limit: 1000 } })).invocations.length;
  const before = await listed();
  await waitFor(async () => (await listed()) >= before + 2, 'it was called twice');
  await client.deleteTrigger(name, 'timer');
});
