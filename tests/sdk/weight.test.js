'use strict';
// A function's weight, which Function Compute has not: set by a plain call, left alone by clients that know nothing of it.
const test = require('node:test');
const { assert, call, client, failsWith, fc, invoke, okibi: ask, remove, settled, update } = require('./client');

const name = 'weighed';
test.after(() => remove(name));

const whole = { functionName: name, runtime: 'custom-container', handler: 'h', cpu: 0.25, memorySize: 256, timeout: 30,
  idleTimeout: 300, customContainerConfig: { image: process.env.OKIBI_IMAGE } };
const weigh = async (weight) => {
  await call('PUT', `/functions/${name}`, { body: { okibi: { weight } } });
  await settled(name);
};
const ofFunction = async (qualifier) => (await call('GET', `/functions/${name}`, { query: qualifier ? { qualifier } : {} })).okibi;
const instances = async () => (await ask('GET', 'instances', { query: { functionName: name } })).instances
  .map((i) => i.instanceId);

test('it is shown when it was sent, and not before', async () => {
  assert.equal((await call('POST', '/functions', { body: whole })).okibi, undefined);
  await settled(name);
  assert.equal(await ofFunction(), undefined);
  await weigh(3);
  assert.deepEqual(await ofFunction(), { weight: 3 });
  const { functions } = await call('GET', '/functions', { query: { prefix: name } });
  assert.deepEqual(functions[0].okibi, { weight: 3 });
});

test('a change of it alone makes no new instance; an update that does not know it keeps it', async () => {
  await invoke(name, 'x');
  const before = await instances();
  assert.equal(before.length, 1);
  await weigh(5);
  assert.deepEqual(await instances(), before);
  assert.equal((await invoke(name, 'x')).status, 200);
  assert.deepEqual(await instances(), before);
  await update(name, { description: 'by the typed SDK' });
  assert.deepEqual(await ofFunction(), { weight: 5 });
});

test('a version keeps its own', async () => {
  const { versionId } = (await client.publishFunctionVersion(name, new fc.PublishFunctionVersionRequest({
    body: new fc.PublishVersionInput({}) }))).body;
  await weigh(1);
  assert.deepEqual(await ofFunction(), { weight: 1 });
  assert.deepEqual(await ofFunction(versionId), { weight: 5 });
});

test('what is refused says what is allowed', async () => {
  const refused = (weight, message) => failsWith(call('PUT', `/functions/${name}`, { body: { okibi: { weight } } }),
    'InvalidArgument', 400, message);
  await refused(0, /okibi\.weight: 0 is not in 1–100/);
  await refused(101, /okibi\.weight: 101 is not in 1–100/);
  await refused(2.5, /okibi\.weight: must be a whole number/);
  await refused('heavy', /okibi\.weight: must be a whole number/);
  assert.deepEqual(await ofFunction(), { weight: 1 });
});
