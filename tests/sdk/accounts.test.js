'use strict';
// Accounts, keys and quotas: what one account can never see or do of another's.
const test = require('node:test');
const { assert, client, clientWith, deploy, failsWith, fc, fetchRaw, invoke, okibi, remove } = require('./client');

const name = 'mine';
let other, otherKey;
test.before(async () => {
  otherKey = (await okibi('POST', 'accounts')).accessKey;
  other = clientWith(otherKey.accessKeyId, otherKey.accessKeySecret);
  await deploy(name);
});
test.after(() => remove(name));

test('an account has its own functions, and nobody else sees them', async () => {
  const { accounts } = await okibi('GET', 'accounts');
  assert.equal(accounts.length, 2);
  assert.equal(accounts.filter((a) => a.administrator).length, 1);
  const none = (call) => failsWith(call, 'FunctionNotFound', 404);
  assert.deepEqual((await other.listFunctions(new fc.ListFunctionsRequest({}))).body.functions, []);
  await none(other.getFunction(name, new fc.GetFunctionRequest({})));
  await none(other.updateFunction(name, new fc.UpdateFunctionRequest({ body: new fc.UpdateFunctionInput({ timeout: 5 }) })));
  await none(other.deleteFunction(name));
  await none(other.listInstances(name, new fc.ListInstancesRequest({})));
  await none(other.listTriggers(name, new fc.ListTriggersRequest({})));
  await none(other.disableFunctionInvocation(name, new fc.DisableFunctionInvocationRequest({})));
  const { Readable } = require('node:stream');
  await none(other.invokeFunction(name, new fc.InvokeFunctionRequest({ body: Readable.from([Buffer.from('x')]) })));
  const arn = (await client.getFunction(name, new fc.GetFunctionRequest({}))).body.functionArn;
  await none(other.tagResources(new fc.TagResourcesRequest({ body: new fc.TagResourcesInput({ resourceId: [arn],
    resourceType: 'function', tag: [new fc.Tag({ key: 'a', value: 'b' })] }) })));
  await invoke(name, 'x');
  assert.deepEqual((await okibi('GET', 'instances', { as: other })).instances, []);
  assert.deepEqual((await okibi('GET', 'usage', { as: other })).functions, []);
  await none(okibi('GET', 'logs', { as: other, query: { functionName: name } }));
});

test('the same name is another function', async () => {
  await other.createFunction(new fc.CreateFunctionRequest({ body: new fc.CreateFunctionInput({ functionName: name,
    runtime: 'custom-container', handler: 'h', cpu: 0.25, memorySize: 256, description: 'theirs',
    customContainerConfig: new fc.CustomContainerConfig({ image: process.env.OKIBI_IMAGE }) }) }));
  assert.notEqual((await client.getFunction(name, new fc.GetFunctionRequest({}))).body.description, 'theirs');
  await other.deleteFunction(name);
  assert.equal((await invoke(name, 'still')).text, 'still');
});

test('a trigger with signatures takes its owner\'s keys only', async () => {
  const util = require('@alicloud/openapi-util');
  const { body } = await client.createTrigger(name, new fc.CreateTriggerRequest({ body: new fc.CreateTriggerInput({
    triggerName: 't', triggerType: 'http', triggerConfig: JSON.stringify({ authType: 'function', methods: ['GET'] }) }) }));
  const get = (id, secret) => {
    const date = new Date().toISOString();
    const authorization = util.default.getAuthorization({ method: 'GET', pathname: '/', query: {},
      headers: { 'x-acs-date': date } }, 'ACS3-HMAC-SHA256', '', id, secret);
    return fetchRaw('GET', body.httpTrigger.urlInternet, { headers: { 'x-acs-date': date, authorization } });
  };
  assert.equal((await get(process.env.OKIBI_KEY_ID, process.env.OKIBI_KEY_SECRET)).status, 200);
  assert.equal((await get(otherKey.accessKeyId, otherKey.accessKeySecret)).status, 403);
});

test('keys: create and revoke, at once', async () => {
  const keys = `accounts/${otherKey.accountId}/keys`;
  const list = async () => (await okibi('GET', keys, { as: other })).accessKeys;
  assert.deepEqual(Object.keys((await list())[0]).sort(), ['accessKeyId', 'accountId', 'createdTime']);
  const second = await okibi('POST', keys, { as: other });
  const withSecond = clientWith(second.accessKeyId, second.accessKeySecret);
  assert.equal((await okibi('GET', 'info', { as: withSecond })).accountId, otherKey.accountId);
  assert.equal((await list()).length, 2);
  await okibi('DELETE', `${keys}/${second.accessKeyId}`, { as: other });
  await failsWith(okibi('GET', 'info', { as: withSecond }), 'InvalidAccessKeyID', 403);
  await failsWith(okibi('DELETE', `${keys}/${process.env.OKIBI_KEY_ID}`, { as: other }), 'AccessKeyNotFound', 404);
});

test('what is the administrator\'s is refused to others', async () => {
  await failsWith(okibi('POST', 'accounts', { as: other }), 'AccessDenied', 403);
  await failsWith(okibi('POST', 'quotas/requests/q-1/approve', { as: other }), 'AccessDenied', 403, /administrator/);
  const accountId = (await okibi('GET', 'info')).accountId;
  await failsWith(okibi('GET', `accounts/${accountId}/keys`, { as: other }), 'AccountNotFound', 404);
  await failsWith(okibi('GET', 'quotas', { as: other, query: { accountId } }), 'AccountNotFound', 404);
  assert.equal((await okibi('GET', `accounts/${otherKey.accountId}/keys`)).accessKeys.length, 1);
});

test('quota: ask, decide, and it acts', async () => {
  const limit = async (quota) => (await okibi('GET', 'quotas', { as: other })).quotas.find((q) => q.name === quota).limit;
  assert.deepEqual([await limit('gpuCards'), await limit('instances')], [30, 300]);
  const asked = await okibi('POST', 'quotas/requests', { as: other, body: { name: 'instances', value: 0, reason: 'less' } });
  assert.equal(asked.status, 'Pending');
  const approved = await okibi('POST', `quotas/requests/${asked.requestId}/approve`, { query: { note: 'fine' } });
  assert.deepEqual([approved.status, approved.from, approved.value, approved.note], ['Approved', 300, 0, 'fine']);
  assert.equal(await limit('instances'), 0);
  await failsWith(okibi('POST', `quotas/requests/${asked.requestId}/refuse`), 'ConcurrentUpdateError', 409);
  await failsWith(okibi('POST', 'quotas/requests/q-none/refuse'), 'QuotaRequestNotFound', 404);
  await failsWith(okibi('POST', 'quotas/requests', { as: other, body: { name: 'luck', value: 1 } }), 'InvalidArgument', 400, /luck/);

  await other.createFunction(new fc.CreateFunctionRequest({ body: new fc.CreateFunctionInput({ functionName: 'starved',
    runtime: 'custom-container', handler: 'h', cpu: 0.25, memorySize: 256,
    customContainerConfig: new fc.CustomContainerConfig({ image: process.env.OKIBI_IMAGE }) }) }));
  const { waitFor } = require('./client');
  await waitFor(async () => (await other.getFunction('starved', new fc.GetFunctionRequest({}))).body.state === 'Active', 'active');
  await failsWith(invoke('starved', 'x', { as: other, within: 1000 }), 'ResourceExhausted', 429, /'instances' is used up: 0 of 0/);
  await failsWith(other.putProvisionConfig('starved', new fc.PutProvisionConfigRequest({
    body: new fc.PutProvisionConfigInput({ defaultTarget: 1 }) })), 'LimitExceededError', 400, /'instances' of 0/);
  const more = await okibi('POST', 'quotas/requests', { as: other, body: { name: 'instances', value: 2 } });
  await okibi('POST', `quotas/requests/${more.requestId}/approve`);
  await invoke('starved', 'x', { as: other });
  const history = (await okibi('GET', 'quotas/requests', { as: other })).requests;
  assert.deepEqual(history.map((r) => r.value), [2, 0]);
  await other.deleteFunction('starved');
});

test('quota: a request that the administrator refuses changes nothing, and says why', async () => {
  // What is used may still change: the last test's instance is ending.
  const quotas = async () => (await okibi('GET', 'quotas', { as: other })).quotas.map(({ used, ...quota }) => quota);
  const before = await quotas();
  const { requestId } = await okibi('POST', 'quotas/requests', { as: other, body: { name: 'gpuCards', value: 31, reason: 'more' } });
  const refused = await okibi('POST', `quotas/requests/${requestId}/refuse`, { query: { note: 'no cards left' } });
  assert.deepEqual([refused.status, refused.from, refused.value, refused.note], ['Refused', 30, 31, 'no cards left']);
  const [seen] = (await okibi('GET', 'quotas/requests', { as: other })).requests;
  assert.deepEqual([seen.requestId, seen.status, seen.note], [requestId, 'Refused', 'no cards left']);
  assert.deepEqual(await quotas(), before);
  await failsWith(okibi('POST', `quotas/requests/${requestId}/approve`), 'ConcurrentUpdateError', 409, /Refused already/);
  assert.deepEqual(await quotas(), before);
});

test('a replayed request is refused', async () => {
  const nonce = 'n'.repeat(64), date = new Date().toISOString().replace(/\.\d+/, '');
  const { createHash, createHmac } = require('node:crypto');
  const sha = (x) => createHash('sha256').update(x).digest('hex');
  const host = process.env.OKIBI_ENDPOINT, body = sha('');
  const names = 'host;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce';
  const canonical = `GET\n/okibi/v1/info\n\nhost:${host}\nx-acs-content-sha256:${body}\nx-acs-date:${date}\nx-acs-signature-nonce:${nonce}\n\n${names}\n${body}`;
  const signature = createHmac('sha256', process.env.OKIBI_KEY_SECRET).update(`ACS3-HMAC-SHA256\n${sha(canonical)}`).digest('hex');
  const headers = { 'x-acs-content-sha256': body, 'x-acs-date': date, 'x-acs-signature-nonce': nonce,
    authorization: `ACS3-HMAC-SHA256 Credential=${process.env.OKIBI_KEY_ID},SignedHeaders=${names},Signature=${signature}` };
  const url = `http://${host}/okibi/v1/info`;
  assert.equal((await fetchRaw('GET', url, { headers })).status, 200);
  const again = await fetchRaw('GET', url, { headers });
  assert.equal(again.status, 403, again.text);
  assert.match(again.text, /used before/);
});
