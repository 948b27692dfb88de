'use strict';
// The codes of Function Compute's error table that can occur, each made by a request. Those of functions, versions,
// triggers and quotas that other files make are listed in docs/function_compute_compatibility.md.
const http = require('node:http');
const test = require('node:test');
const { assert, call, client, deploy, failsWith, fc, fetchRaw, invoke, okibi, remove, update,
  waitFor } = require('./client');

const name = 'err';
const url = (path) => `http://${process.env.OKIBI_ENDPOINT}/2023-03-30${path}`;
test.before(() => deploy(name, { instanceConcurrency: 2, timeout: 10 }));
test.after(() => Promise.all(['err', 'err-none', 'err-start', 'err-init', 'err-a', 'err-b'].map(remove)));

const container = (fields) => new fc.CustomContainerConfig({ image: process.env.OKIBI_IMAGE, ...fields });
const triggerOf = async (functionName) => (await client.createTrigger(functionName, new fc.CreateTriggerRequest({
  body: new fc.CreateTriggerInput({ triggerName: 'h', triggerType: 'http',
    triggerConfig: JSON.stringify({ authType: 'anonymous', methods: ['GET', 'POST'] }) }) }))).body.httpTrigger.urlInternet;

test('400 MissingRequiredHeader, PathNotSupported, EntityTooLarge, InvalidArgument', async () => {
  const bare = await fetchRaw('GET', url(`/functions/${name}`));
  assert.equal(bare.status, 400);
  const body = JSON.parse(bare.text);
  assert.deepEqual([body.Code, body.RequestId], ['MissingRequiredHeader', bare.headers['x-fc-request-id']]);
  assert.match(body.Message, /Authorization/);
  await failsWith(call('PUT', '/functions'), 'PathNotSupported', 400,
    /'\/2023-03-30\/functions' against 'PUT' is not supported/);
  await failsWith(call('POST', '/functions', { body: { description: 'x'.repeat(1 << 20) } }), 'EntityTooLarge', 400);
  await failsWith(invoke(name, 'x'.repeat(32 * 1024 * 1024 + 1)), 'EntityTooLarge', 400);
  await failsWith(call('POST', '/functions', { body: [1] }), 'InvalidArgument', 400, /must be an object, not a list/);
  await failsWith(call('GET', '/functions', { query: { limit: '0' } }), 'InvalidArgument', 400, /limit: '0' is not in 1–100/);
});

test('400 LimitExceededError', () => failsWith(client.putProvisionConfig(name, new fc.PutProvisionConfigRequest({
  body: new fc.PutProvisionConfigInput({ defaultTarget: 301 }) })), 'LimitExceededError', 400, /'instances' of 300/));

test('404 of domains and layers', async () => {
  await failsWith(client.getCustomDomain('nowhere.example'), 'DomainNameNotFound', 404);
  await failsWith(client.listLayerVersions('none', new fc.ListLayerVersionsRequest({})), 'LayerNotFound', 404);
  await failsWith(client.getLayerVersion('none', '1'), 'LayerVersionNotFound', 404);
  await failsWith(client.deleteLayerVersion('none', '1'), 'LayerVersionNotFound', 404);
  await failsWith(client.getLayerVersionByArn('acs:fc:local:1:layers/none/versions/1'), 'LayerVersionNotFound', 404);
});

test('409 ConcurrentUpdateError: a version of what is not there yet', async () => {
  await client.createFunction(new fc.CreateFunctionRequest({ body: new fc.CreateFunctionInput({ functionName: 'err-none',
    runtime: 'custom-container', handler: 'h', cpu: 0.25, memorySize: 256,
    customContainerConfig: new fc.CustomContainerConfig({ image: process.env.OKIBI_IMAGE.replace('/echo:', '/nowhere:') }) }) }));
  await failsWith(client.publishFunctionVersion('err-none', new fc.PublishFunctionVersionRequest({
    body: new fc.PublishVersionInput({}) })), 'ConcurrentUpdateError', 409, /is (Pending|Failed); a version is made of/);
});

test('409: a task id that is in use', async () => {
  await deploy('err-a', { instanceConcurrency: 1, timeout: 10 });
  await client.putConcurrencyConfig('err-a', new fc.PutConcurrencyConfigRequest({
    body: new fc.PutConcurrencyInput({ reservedConcurrency: 0 }) }));
  const task = () => invoke('err-a', 'x', { headers: { xFcInvocationType: 'Async', xFcAsyncTaskId: 'once' } });
  assert.equal((await task()).status, 202);
  await assert.rejects(task(), (e) => e.statusCode === 409 && /once/.test(e.message));
  await client.deleteConcurrencyConfig('err-a');
});

test('412 FunctionNotStarted', async () => {
  await deploy('err-start', { customContainerConfig: container({ entrypoint: ['/no/such/program'] }) });
  await failsWith(invoke('err-start', 'x'), 'FunctionNotStarted', 412, /\/no\/such\/program/);
  const answer = await fetchRaw('GET', await triggerOf('err-start'));
  assert.deepEqual([answer.status, JSON.parse(answer.text).Code], [412, 'FunctionNotStarted']);
});

test('200 with InitializationError, as Function Compute answers', async () => {
  await deploy('err-init', { instanceLifecycleConfig: new fc.InstanceLifecycleConfig({
    initializer: new fc.LifecycleHook({ command: ['/echo', '--no-such-option'], timeout: 5 }) }) });
  const reply = await invoke('err-init', 'x');
  assert.deepEqual([reply.status, reply.headers['x-fc-error-type']], [200, 'InitializationError']);
  assert.equal(JSON.parse(reply.text).errorType, 'InitializationError');
});

test('429 ResourceExhausted: the function\'s own cap, with limit and use', async () => {
  const address = await triggerOf(name);
  await client.putConcurrencyConfig(name, new fc.PutConcurrencyConfigRequest({
    body: new fc.PutConcurrencyInput({ reservedConcurrency: 1 }) }));
  const slow = [1, 2].map(() => fetchRaw('GET', `${address}sleep?ms=8000`));
  await waitFor(async () => (await okibi('GET', 'instances', { query: { functionName: name } }))
    .instances.some((i) => i.inFlight === 2), 'both run');
  await failsWith(invoke(name, 'x', { within: 1000 }), 'ResourceExhausted', 429, /concurrency configuration: 1 of 1 instances/);
  for (const one of await Promise.all(slow)) assert.equal(one.status, 200);
  await client.deleteConcurrencyConfig(name);
});

test('499: the caller went away', async () => {
  const { httpTrigger } = (await client.getTrigger(name, 'h')).body;
  const target = new URL(`${httpTrigger.urlInternet}sleep?ms=9000&mark=gone`);
  const request = http.get({ host: '127.0.0.1', port: target.port, path: target.pathname + target.search,
    headers: { host: target.host } });
  request.on('error', () => {});
  await waitFor(async () => (await okibi('GET', 'instances', { query: { functionName: name } }))
    .instances.some((i) => i.inFlight === 1), 'it runs');
  request.destroy();
  await waitFor(async () => (await okibi('GET', 'invocations', { query: { functionName: name, limit: 50 } }))
    .invocations.some((i) => i.status === 499), 'it is recorded as 499');
});

test('502 BadResponse: the function ends instead of answering', async () => {
  const { httpTrigger } = (await client.getTrigger(name, 'h')).body;
  const answer = await fetchRaw('POST', `${httpTrigger.urlInternet}exit`);
  assert.deepEqual([answer.status, JSON.parse(answer.text).Code], [502, 'BadResponse']);
});

test('503 ResourceThrottled: every card is taken until the queue deadline', async () => {
  const gpu = (gpuMemorySize) => ({ gpuConfig: new fc.GPUConfig({ gpuType: 'fc.gpu.tesla.1', gpuMemorySize }) });
  await update('err-a', gpu(16384));
  await deploy('err-b', gpu(16384));
  await client.putProvisionConfig('err-a', new fc.PutProvisionConfigRequest({
    body: new fc.PutProvisionConfigInput({ defaultTarget: 2 }) }));
  await waitFor(async () => (await client.getProvisionConfig('err-a', new fc.GetProvisionConfigRequest({}))).body.current === 2,
    'both cards are taken');
  await failsWith(invoke('err-b', 'x', { within: 2000 }), 'ResourceThrottled', 503, /fc\.gpu\.tesla\.1/);
  await failsWith(client.deleteFunction('err-a'), 'ProvisionConfigExist', 409);
  await client.deleteProvisionConfig('err-a', new fc.DeleteProvisionConfigRequest({}));
  assert.equal((await invoke('err-b', 'free again')).text, 'free again');
});
