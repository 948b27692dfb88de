'use strict';
// ListInstances: the live ones, those that have ended, and every filter.
const test = require('node:test');
const { assert, client, clientWith, failsWith, fc, deploy, invoke, okibi, remove, update, waitFor } = require('./client');

const name = 'instances';
let first, second;

const list = async (query = {}) => {
  const { body } = await client.listInstances(name, new fc.ListInstancesRequest(query));
  return body.instances;
};
const idsOf = async (query) => (await list(query)).map((one) => one.instanceId);

// One instance that has ended, replaced by an update, and one that lives.
test.before(async () => {
  await deploy(name, { idleTimeout: 3600 });
  await invoke(name, 'one');
  [first] = await list();
  await update(name, { description: 'next' });
  await invoke(name, 'two');
  await waitFor(async () => (await list({ instanceStatus: ['Destroyed'] })).length === 1, 'the first one gone');
  [second] = await list();
});
test.after(() => remove(name));

test('without more, the live ones', async () => {
  assert.notEqual(second.instanceId, first.instanceId);
  assert.deepEqual(await idsOf(), [second.instanceId]);
  assert.deepEqual(await idsOf({ withAllActive: true }), [second.instanceId]);
  assert.equal(second.status, 'Running');
  assert.equal(second.resourceType, 'cpu');
  assert.equal(second.qualifier, 'LATEST');
  assert.equal(second.destroyedTimeMs, undefined);
});

test('ended ones by status, by id and by time', async () => {
  const [ended] = await list({ instanceStatus: ['Destroyed'] });
  const { destroyedTimeMs, ...rest } = ended;
  assert.deepEqual(rest, { ...first, status: 'Destroyed' });
  assert.ok(destroyedTimeMs >= ended.createdTimeMs);
  assert.deepEqual(await idsOf({ instanceIds: [first.instanceId] }), [first.instanceId]);
  const both = [first.instanceId, second.instanceId].sort();
  assert.deepEqual(await idsOf({ instanceStatus: ['Running', 'Destroyed'] }), both);
  assert.deepEqual(await idsOf({ startTimeMs: first.createdTimeMs }), both);
  assert.deepEqual(await idsOf({ startTimeMs: destroyedTimeMs + 1 }), [second.instanceId]);
  const early = { endTimeMs: first.createdTimeMs };
  assert.deepEqual(await idsOf(early), [first.instanceId]);
  assert.deepEqual(await idsOf({ ...early, withAllActive: true }), both);
  assert.deepEqual(await idsOf({ ...early, instanceStatus: ['Running'] }), []);
});

test('pages, and what is no filter', async () => {
  const query = { instanceStatus: ['Running', 'Destroyed'] };
  const [one, other] = await idsOf(query);
  assert.deepEqual(await idsOf({ ...query, limit: 1 }), [one]);
  assert.deepEqual(await idsOf({ ...query, startKey: one }), [other]);
  assert.deepEqual(await idsOf({ ...query, startKey: other }), []);
  await failsWith(list({ qualifier: 'none' }), 'AliasNotFound', 404);
  await failsWith(list({ limit: 1001 }), 'InvalidArgument', 400, /limit/);
  await failsWith(list({ startTimeMs: 2, endTimeMs: 1 }), 'InvalidArgument', 400, /startTimeMs: 2 is after/);
  await failsWith(list({ withAllActive: 'maybe' }), 'InvalidArgument', 400, /withAllActive/);
  await failsWith(client.listInstances('nobody', new fc.ListInstancesRequest({})), 'FunctionNotFound', 404);
});

test('why they ended, in our own list; another account sees none of it', async () => {
  const listed = await okibi('GET', 'instances', { query: { all: 'true', functionName: name } });
  assert.deepEqual(listed.ended.map((one) => [one.instanceId, one.version, one.reason]),
    [[first.instanceId, 'LATEST', 'revision retired']]);
  assert.deepEqual((await okibi('GET', 'instances', { query: { functionName: name } })).ended, undefined);
  const { accessKey } = await okibi('POST', 'accounts');
  const other = clientWith(accessKey.accessKeyId, accessKey.accessKeySecret);
  assert.deepEqual(await okibi('GET', 'instances', { query: { all: 'true' }, as: other }), { instances: [], ended: [] });
});

test('an alias that splits its traffic has the instances of all its versions', async () => {
  const publish = async () => (await client.publishFunctionVersion(name, new fc.PublishFunctionVersionRequest({
    body: new fc.PublishVersionInput({}) }))).body.versionId;
  const one = await publish();
  await update(name, { description: 'another' });
  const two = await publish();
  await client.createAlias(name, new fc.CreateAliasRequest({ body: new fc.CreateAliasInput({
    aliasName: 'split', versionId: one, additionalVersionWeight: { [two]: 0.5 } }) }));
  await invoke(name, 'x', { qualifier: 'split' });
  await invoke(name, 'x', { qualifier: 'split' });
  const listed = await list({ qualifier: 'split' });
  assert.deepEqual(listed.map((i) => i.versionId).sort(), [one, two]);
  assert.deepEqual((await list({ qualifier: two })).map((i) => i.versionId), [two]);
});
