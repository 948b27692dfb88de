'use strict';
// Model directories, which Function Compute has not: set by a plain call, and left alone by clients that know nothing
// of them. run.sh approves the roots.
const test = require('node:test');
const { assert, call, client, failsWith, fc, fetchRaw, okibi: ask, remove, settled, update } = require('./client');

const name = 'with-models';
test.after(() => remove(name));

const okibi = { modelDirectories: [{ name: 'weights', subdirectory: 'v1', mountDir: '/models' }] };
const whole = { functionName: name, runtime: 'custom-container', handler: 'h', cpu: 0.25, memorySize: 256, timeout: 30,
  customContainerConfig: { image: process.env.OKIBI_IMAGE }, okibi };
const ofFunction = async (qualifier) => (await call('GET', `/functions/${name}`, { query: qualifier ? { qualifier } : {} })).okibi;

let url;
const read = async (file) => fetchRaw('GET', `${url}/read?path=${file}`);

test('a plain call sets them, and the container reads what is there', async () => {
  assert.deepEqual((await call('POST', '/functions', { body: whole })).okibi, okibi);
  await settled(name);
  const trigger = await client.createTrigger(name, new fc.CreateTriggerRequest({ body: new fc.CreateTriggerInput({
    triggerName: 't', triggerType: 'http', triggerConfig: JSON.stringify({ authType: 'anonymous', methods: ['GET'] }) }) }));
  url = `http://${process.env.OKIBI_ENDPOINT}/proxy/${new URL(trigger.body.httpTrigger.urlInternet).hostname.split('.')[0]}`;
  assert.equal((await read('/models/weights')).text, 'of v1');
});

test('an update of a client that does not know them keeps them; versions keep their own', async () => {
  await update(name, { description: 'by the typed SDK', timeout: 31 });
  await call('PUT', `/functions/${name}`, { body: { ...whole, okibi: undefined, nasConfig: { userId: 0, groupId: 0,
    mountPoints: [] } } });
  await settled(name);
  assert.deepEqual(await ofFunction(), okibi);
  const { versionId } = (await client.publishFunctionVersion(name, new fc.PublishFunctionVersionRequest({
    body: new fc.PublishVersionInput({}) }))).body;
  await call('PUT', `/functions/${name}`, { body: { okibi: { modelDirectories: [] } } });
  await settled(name);
  assert.equal(await ofFunction(), undefined);
  assert.deepEqual(await ofFunction(versionId), okibi);
  assert.equal((await read('/models/weights')).status, 404);
});

test('an account is told which roots it may use', async () => {
  assert.deepEqual((await ask('GET', 'info')).modelRoots, ['weights']);
});

test('what is refused says what is allowed; network storage is pointed here', async () => {
  const refused = (body, message) => failsWith(call('PUT', `/functions/${name}`, { body }), 'InvalidArgument', 400, message);
  const one = (fields) => ({ okibi: { modelDirectories: [{ name: 'weights', mountDir: '/models', ...fields }] } });
  await refused(one({ name: 'private' }), /modelDirectories\[0\]\.name: 'private' is unknown; this account may use: weights/);
  await refused(one({ subdirectory: 'a/../..' }), /modelDirectories\[0\]\.subdirectory: /);
  await refused(one({ mountDir: '/proc/models' }), /modelDirectories\[0\]\.mountDir: '\/proc\/models' would cover \/proc/);
  await refused(one({ readOnly: false }), /modelDirectories\[0\]\.readOnly: is unknown/);
  await refused({ okibi: { models: [] } }, /okibi\.models: is unknown/);
  await refused({ nasConfig: { mountPoints: [{ serverAddr: 'a', mountDir: '/mnt' }] } }, /okibi\.modelDirectories/);
});
