'use strict';
// The official npm SDK, unmodified, against a running daemon. run.sh starts it and sets OKIBI_*.
const test = require('node:test');
const assert = require('node:assert/strict');
const { Readable } = require('node:stream');
const fc = require('@alicloud/fc20230330');
const core = require('@alicloud/openapi-core');

const client = new fc.default(new core.$OpenApiUtil.Config({
  accessKeyId: process.env.OKIBI_KEY_ID,
  accessKeySecret: process.env.OKIBI_KEY_SECRET,
  endpoint: process.env.OKIBI_ENDPOINT,
  protocol: 'http',
}));
const name = 'sdk-echo';

async function failsWith(promise, code, status) {
  await assert.rejects(promise, (e) => {
    assert.equal(e.code, code, e.message);
    assert.equal(e.statusCode, status);
    return true;
  });
}

async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function invoke(text) {
  const headers = new fc.InvokeFunctionHeaders({ xFcLogType: 'Tail' });
  const request = new fc.InvokeFunctionRequest({ body: Readable.from([Buffer.from(text)]) });
  const { RuntimeOptions } = require('@darabonba/typescript');
  const reply = await client.invokeFunctionWithOptions(name, request, headers,
    new RuntimeOptions({}));
  return { headers: reply.headers, text: await read(reply.body) };
}

test('create, and wait until it is active', async () => {
  const made = await client.createFunction(new fc.CreateFunctionRequest({
    body: new fc.CreateFunctionInput({
      functionName: name, runtime: 'custom-container', handler: 'h', timeout: 30,
      gpuConfig: new fc.GPUConfig({ gpuType: 'fc.gpu.tesla.1', gpuMemorySize: 1024 }),
      customContainerConfig: new fc.CustomContainerConfig({ image: process.env.OKIBI_IMAGE }),
    }),
  }));
  assert.equal(made.body.functionName, name);
  for (let i = 0; i < 1200; ++i) {
    const got = await client.getFunction(name, new fc.GetFunctionRequest({}));
    assert.notEqual(got.body.state, 'Failed', got.body.stateReason);
    if (got.body.state === 'Active') return;
    await new Promise((done) => setTimeout(done, 100));
  }
  assert.fail('not active within 120 s');
});

test('invoke with log tail', async () => {
  const reply = await invoke('hello');
  assert.match(reply.headers['x-fc-request-id'], /^1-/);
  assert.equal(reply.text, 'hello');
  const tail = Buffer.from(reply.headers['x-fc-log-result'], 'base64').toString();
  assert.match(tail, new RegExp(`FC Invoke Start RequestId: ${reply.headers['x-fc-request-id']}`));
});

test('thirty at once', async () => {
  const replies = await Promise.all(Array.from({ length: 30 }, (_, i) => invoke(`n${i}`)));
  const ids = new Set(replies.map((r) => r.headers['x-fc-request-id']));
  assert.equal(ids.size, 30);
});

test('list and update', async () => {
  const listed = await client.listFunctions(new fc.ListFunctionsRequest({ prefix: 'sdk-' }));
  assert.deepEqual(listed.body.functions.map((f) => f.functionName), [name]);
  const updated = await client.updateFunction(name, new fc.UpdateFunctionRequest({
    body: new fc.UpdateFunctionInput({ timeout: 40 }),
  }));
  assert.equal(updated.body.timeout, 40);
  assert.equal(updated.body.gpuConfig.gpuMemorySize, 1024);
});

test('trigger', async () => {
  const made = await client.createTrigger(name, new fc.CreateTriggerRequest({
    body: new fc.CreateTriggerInput({ triggerName: 't', triggerType: 'http',
      triggerConfig: JSON.stringify({ authType: 'anonymous', methods: ['GET', 'POST'] }) }),
  }));
  const got = await client.getTrigger(name, 't');
  assert.equal(got.body.triggerId, made.body.triggerId);
  assert.match(got.body.httpTrigger.urlInternet, /^http:\/\/.*\/trigger\//);
  await client.deleteTrigger(name, 't');
  await failsWith(client.getTrigger(name, 't'), 'TriggerNotFound', 404);
});

test('errors', async () => {
  await failsWith(client.getFunction('none', new fc.GetFunctionRequest({})),
    'FunctionNotFound', 404);
  await failsWith(client.getConcurrencyConfig(name), 'OnDemandConfigNotFound', 404);
  const none = await client.getProvisionConfig(name, new fc.GetProvisionConfigRequest({}));
  assert.equal(none.body.target, 0);
});

test('a wrong secret and an unknown key are told apart, and nothing is served', async () => {
  const withKey = (accessKeyId, accessKeySecret) => new fc.default(new core.$OpenApiUtil.Config({
    accessKeyId, accessKeySecret, endpoint: process.env.OKIBI_ENDPOINT, protocol: 'http' }));
  const get = (c) => c.getFunction(name, new fc.GetFunctionRequest({}));
  await failsWith(get(withKey(process.env.OKIBI_KEY_ID, 'wrong')), 'SignatureNotMatch', 403);
  await failsWith(get(withKey('nobody', 'wrong')), 'InvalidAccessKeyID', 403);
});

test('a refused field is named with its range', async () => {
  await assert.rejects(client.updateFunction(name, new fc.UpdateFunctionRequest({
    body: new fc.UpdateFunctionInput({ instanceConcurrency: 201 }) })), (e) => {
    assert.equal(e.code, 'InvalidArgument');
    assert.match(e.message, /instanceConcurrency: 201 is not in 1–200/);
    return true;
  });
});

test('delete', async () => {
  await client.deleteFunction(name);
  await failsWith(client.getFunction(name, new fc.GetFunctionRequest({})), 'FunctionNotFound', 404);
});
