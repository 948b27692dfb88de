'use strict';
// Versions and aliases, and whose requests go where.
const test = require('node:test');
const { assert, client, deploy, failsWith, fc, fetchRaw, invoke, okibi, remove, update, waitFor } = require('./client');

const name = 'ver';
test.before(() => deploy(name, { instanceConcurrency: 10, environmentVariables: { N: 'one' } }));
test.after(() => remove(name));

const publish = async (description) => (await client.publishFunctionVersion(name,
  new fc.PublishFunctionVersionRequest({ body: new fc.PublishVersionInput({ description }) }))).body;
const putAlias = (aliasName, fields) => client.updateAlias(name, aliasName, new fc.UpdateAliasRequest({
  body: new fc.CreateAliasInput(fields) }));
const makeAlias = (aliasName, fields) => client.createAlias(name, new fc.CreateAliasRequest({
  body: new fc.CreateAliasInput({ aliasName, ...fields }) }));
// The container is told its version; the echo server shows its request.
const versionOf = async (qualifier) => (await invoke(name, 'x', { qualifier }))
  .headers['x-fc-invocation-function-version'];

test('publish twice, list both ways', async () => {
  const first = await publish('the first');
  assert.equal(first.versionId, '1');
  assert.equal(first.description, 'the first');
  await update(name, { environmentVariables: { N: 'two' } });
  assert.equal((await publish('the second')).versionId, '2');
  const list = async (q) => (await client.listFunctionVersions(name,
    new fc.ListFunctionVersionsRequest(q))).body;
  assert.deepEqual((await list({})).versions.map((v) => v.versionId), ['2', '1']);
  assert.deepEqual((await list({ direction: 'FORWARD' })).versions.map((v) => v.versionId), ['1', '2']);
  const page = await list({ limit: 1 });
  assert.deepEqual((await list({ limit: 1, nextToken: page.nextToken })).versions.map((v) => v.versionId), ['1']);
  await failsWith(list({ direction: 'UP' }), 'InvalidArgument', 400, /direction/);
});

test('each qualifier has its own configuration', async () => {
  assert.equal(await versionOf('1'), '1');
  assert.equal(await versionOf(), 'LATEST');
  const get = async (qualifier) => (await client.getFunction(name,
    new fc.GetFunctionRequest({ qualifier }))).body;
  assert.deepEqual({ ...(await get('1')).environmentVariables }, { N: 'one' });
  assert.deepEqual({ ...(await get('2')).environmentVariables }, { N: 'two' });
  assert.match((await get('1')).functionArn, /functions\/ver\/1$/);
  await failsWith(get('9'), 'VersionNotFound', 404);
  await failsWith(get('nobody'), 'AliasNotFound', 404);
  await failsWith(invoke(name, '', { qualifier: '9' }), 'VersionNotFound', 404);
  await failsWith(invoke(name, '', { qualifier: 'nobody' }), 'AliasNotFound', 404);
});

test('an alias sends exactly its share to another version', async () => {
  const made = (await makeAlias('prod', { versionId: '1', additionalVersionWeight: { 2: 0.1 },
    description: 'canary' })).body;
  assert.deepEqual([made.versionId, { ...made.additionalVersionWeight }], ['1', { 2: 0.1 }]);
  const seen = [];
  for (let i = 0; i < 30; ++i) seen.push(await versionOf('prod'));
  assert.equal(seen.filter((v) => v === '2').length, 3);
  for (let i = 0; i + 10 <= 30; ++i) {
    assert.equal(seen.slice(i, i + 10).filter((v) => v === '2').length, 1, `window ${i}`);
  }
  await putAlias('prod', { versionId: '2', additionalVersionWeight: {} });
  assert.equal(await versionOf('prod'), '2');
  assert.equal((await client.getAlias(name, 'prod')).body.versionId, '2');
  assert.equal((await client.getAlias(name, 'prod')).body.description, 'canary');
});

test('aliases: list, refusals', async () => {
  await makeAlias('beta', { versionId: '1' });
  const list = async (q) => (await client.listAliases(name, new fc.ListAliasesRequest(q))).body;
  assert.deepEqual((await list({})).aliases.map((a) => a.aliasName), ['beta', 'prod']);
  assert.deepEqual((await list({ prefix: 'p' })).aliases.map((a) => a.aliasName), ['prod']);
  assert.ok((await list({ limit: 1 })).nextToken);
  await failsWith(makeAlias('beta', { versionId: '1' }), 'AliasAlreadyExists', 409);
  await failsWith(makeAlias('x', { versionId: '9' }), 'VersionNotFound', 404);
  await failsWith(makeAlias('LATEST', { versionId: '1' }), 'InvalidArgument', 400, /aliasName/);
  await failsWith(makeAlias('12', { versionId: '1' }), 'InvalidArgument', 400, /aliasName/);
  await failsWith(makeAlias('x', { versionId: '1', additionalVersionWeight: { 2: 1.5 } }),
    'InvalidArgument', 400, /additionalVersionWeight\.2: 1\.5 is not in 0–1/);
  await failsWith(makeAlias('x', {}), 'InvalidArgument', 400, /versionId: is required/);
  await failsWith(client.getAlias(name, 'x'), 'AliasNotFound', 404);
  await failsWith(putAlias('x', { versionId: '1' }), 'AliasNotFound', 404);
});

test('a used version stays, an unused one goes, and its number is not used again', async () => {
  await failsWith(client.deleteFunctionVersion(name, '1'), 'InvalidArgument', 400, /alias 'beta'/);
  await client.deleteAlias(name, 'beta');
  await client.deleteFunctionVersion(name, '1');
  await failsWith(client.deleteFunctionVersion(name, '1'), 'VersionNotFound', 404);
  assert.equal((await publish('')).versionId, '3');
  await client.deleteAlias(name, 'prod');
  await failsWith(client.deleteAlias(name, 'prod'), 'AliasNotFound', 404);
});

test('during an update calls go to the old configuration, running ones finish', async () => {
  const { body: trigger } = await client.createTrigger(name, new fc.CreateTriggerRequest({
    body: new fc.CreateTriggerInput({ triggerName: 't', triggerType: 'http', qualifier: '3',
      triggerConfig: JSON.stringify({ authType: 'anonymous', methods: ['GET'] }) }) }));
  const slow = fetchRaw('GET', `${trigger.httpTrigger.urlInternet}sleep?ms=5000`);
  await waitFor(async () => (await okibi('GET', 'instances', { query: { functionName: name } }))
    .instances.some((i) => i.inFlight === 1), 'the request runs');
  await client.deleteFunctionVersion(name, '3');
  assert.equal((await slow).status, 200);
  assert.equal((await fetchRaw('GET', trigger.httpTrigger.urlInternet)).status, 404);
  await client.updateFunction(name, new fc.UpdateFunctionRequest({ body: new fc.UpdateFunctionInput({
    customContainerConfig: new fc.CustomContainerConfig({ image: process.env.OKIBI_IMAGE.replace('/echo:', '/nowhere:') }) }) }));
  assert.equal((await invoke(name, 'still')).text, 'still');
  const read = async () => (await client.getFunction(name, new fc.GetFunctionRequest({}))).body;
  await waitFor(async () => (await read()).lastUpdateStatus === 'Failed', 'the update fails');
  const body = await read();
  assert.equal(body.state, 'Active');
  assert.match(body.lastUpdateStatusReason, /nowhere/);
  assert.equal((await invoke(name, 'old')).text, 'old');
});
