'use strict';
// Temporary credentials: a container gets them for its function's role, and the unmodified SDK works with them as far
// as the role allows.
const test = require('node:test');
const util = require('@alicloud/openapi-util');
const { RuntimeOptions } = require('@darabonba/typescript');
const { assert, client, core, deploy, failsWith, fc, fetchRaw, invoke, okibi, remove, update } = require('./client');

const name = 'with-role', target = 'called-by-role', role = 'sdk-caller';
const rolePath = `roles/${role}`;
let account, url;

// What the container got, as the echo example tells it.
const ask = async (path) => JSON.parse((await fetchRaw('GET', url + path)).text);
const headersOf = async () => (await ask('/?inspect=1')).headers;
const keysOf = (headers) => ['x-fc-access-key-id', 'x-fc-access-key-secret', 'x-fc-security-token'].map(
  (field) => Object.entries(headers).find(([key]) => key.toLowerCase() === field)?.[1]);

function actingClient([accessKeyId, accessKeySecret, securityToken]) {
  return new fc.default(new core.$OpenApiUtil.Config({ accessKeyId, accessKeySecret, securityToken,
    endpoint: process.env.OKIBI_ENDPOINT, protocol: 'http' }));
}
const allow = (...grants) => okibi('PUT', rolePath, { body: {
  allow: grants.map(([action, functionName]) => ({ action, function: functionName })) } });

test.before(async () => {
  await deploy(target);
  account = (await client.getFunction(target, new fc.GetFunctionRequest({}))).body.functionArn.split(':')[3];
  await deploy(name, { role: `acs:ram::${account}:role/${role}` });
  const trigger = await client.createTrigger(name, new fc.CreateTriggerRequest({ body: new fc.CreateTriggerInput({
    triggerName: 't', triggerType: 'http', triggerConfig: JSON.stringify({ authType: 'anonymous', methods: ['GET'] }) }) }));
  url = `http://${process.env.OKIBI_ENDPOINT}/proxy/${new URL(trigger.body.httpTrigger.urlInternet).hostname.split('.')[0]}`;
});
test.after(async () => {
  await remove(name);
  await remove(target);
});

test('a role is made, shown, listed; what is wrong with one is said by field', async () => {
  assert.deepEqual(keysOf(await headersOf()), [undefined, undefined, undefined], 'not made yet');
  const made = await allow(['InvokeFunction', target]);
  assert.equal(made.roleArn, `acs:ram::${account}:role/${role}`);
  assert.deepEqual((await okibi('GET', rolePath)).allow, [{ action: 'InvokeFunction', function: target }]);
  assert.ok((await okibi('GET', 'roles')).roles.some((one) => one.roleName === role));
  await failsWith(allow(['Fly', target]), 'InvalidArgument', 400, /allow\[0\]\.action: 'Fly'/);
  await failsWith(allow(['InvokeFunction', '1*']), 'InvalidArgument', 400, /allow\[0\]\.function: '1\*'/);
  await failsWith(okibi('PUT', rolePath, { body: {} }), 'InvalidArgument', 400, /allow: is required/);
  await failsWith(okibi('PUT', 'roles/1', { body: { allow: [] } }), 'InvalidArgument', 400, /roleName: '1'/);
  await failsWith(okibi('GET', 'roles/none'), 'RoleNotFound', 404);
});

test('the SDK does with them what the role allows, and no more', async () => {
  const keys = keysOf(await headersOf());
  assert.ok(keys.every(Boolean), 'the container got them');
  assert.match(keys[0], /^STS\./);
  const acting = actingClient(keys);
  assert.equal((await invoke(target, 'x', { as: acting })).status, 200);
  await failsWith(invoke(name, 'x', { as: acting }), 'AccessDenied', 403, /InvokeFunction on 'with-role'/);
  await failsWith(acting.deleteFunction(target), 'AccessDenied', 403,
    new RegExp(`role '${role}' does not allow DeleteFunction on '${target}'`));
  await failsWith(acting.listFunctions(new fc.ListFunctionsRequest({})), 'AccessDenied', 403, /ListFunctions on the account/);
  const exec = new core.$OpenApiUtil.Params({ action: 'InvokeFunction', version: '2023-03-30', protocol: 'HTTP',
    pathname: `/2023-03-30/functions/${target}/instances/x/exec`, method: 'GET', authType: 'AK', style: 'ROA',
    reqBodyType: 'json', bodyType: 'json' });
  await failsWith(acting.callApi(exec, new core.$OpenApiUtil.OpenApiRequest({ query: { command: 'id' }, headers: {} }),
    new RuntimeOptions({})), 'AccessDenied', 403, /InstanceExec/);
  await failsWith(okibi('GET', 'roles', { as: acting }), 'AccessDenied', 403, /not for temporary credentials/);
  const forged = actingClient([keys[0], keys[1], `${keys[2].slice(0, -1)}_`]);
  await failsWith(invoke(target, 'x', { as: forged }), 'InvalidSecurityToken.Malformed', 403);
});

test('an HTTP trigger that wants a signature takes theirs where the role may invoke its function', async () => {
  const { body } = await client.createTrigger(target, new fc.CreateTriggerRequest({ body: new fc.CreateTriggerInput({
    triggerName: 't', triggerType: 'http', triggerConfig: JSON.stringify({ authType: 'function', methods: ['GET'] }) }) }));
  const [id, secret, token] = keysOf(await headersOf());
  const get = (sent = token) => {
    const headers = { 'x-acs-date': new Date().toISOString(), 'x-acs-security-token': sent };
    const authorization = util.default.getAuthorization({ method: 'GET', pathname: '/x', query: {}, headers },
      'ACS3-HMAC-SHA256', '', id, secret);
    return fetchRaw('GET', `${body.httpTrigger.urlInternet}x`, { headers: { ...headers, authorization } });
  };
  assert.equal((await get()).status, 200);
  assert.match((await get(`${token}A`)).text, /InvalidSecurityToken\.Malformed/);
  await allow(['GetFunction', target]);
  const refused = await get();
  assert.equal(refused.status, 403);
  assert.match(refused.text, /does not allow InvokeFunction on 'called-by-role'/);
  await client.deleteTrigger(target, 't');
});

test('who may deploy passes on no other role', async () => {
  await allow(['*', '*']);
  const acting = actingClient(keysOf(await headersOf()));
  const input = (fields) => new fc.UpdateFunctionRequest({ body: new fc.UpdateFunctionInput(fields) });
  await failsWith(acting.updateFunction(target, input({ role: 'another' })), 'AccessDenied', 403, /of role 'another'/);
  assert.equal((await acting.updateFunction(target, input({ description: 'by a role' }))).body.description, 'by a role');
  await failsWith(okibi('PUT', rolePath, { body: { allow: [] }, as: acting }), 'AccessDenied', 403);
});

test('the environment of an instance that starts has them, too', async () => {
  await update(name, { environmentVariables: { ANOTHER: 'instance' } });
  const environment = await ask('/env');
  assert.equal(environment.ANOTHER, 'instance');
  const acting = actingClient([environment.ALIBABA_CLOUD_ACCESS_KEY_ID, environment.ALIBABA_CLOUD_ACCESS_KEY_SECRET,
    environment.ALIBABA_CLOUD_SECURITY_TOKEN]);
  assert.equal((await invoke(target, 'x', { as: acting })).status, 200);
  await update(name, { disableInjectCredentials: 'Env' });
  assert.equal((await ask('/env')).ALIBABA_CLOUD_ACCESS_KEY_ID, undefined);
  assert.ok(keysOf(await headersOf()).every(Boolean), 'requests have them still');
});

test('disableInjectCredentials keeps them out of requests; the field is returned as it was sent', async () => {
  const updated = await update(name, { disableInjectCredentials: 'Request' });
  assert.equal(updated.disableInjectCredentials, 'Request');
  assert.equal(updated.role, `acs:ram::${account}:role/${role}`);
  assert.deepEqual(keysOf(await headersOf()), [undefined, undefined, undefined]);
  await update(name, { disableInjectCredentials: '' });
});

test('they end with the role, and do not come back with another of its name', async () => {
  const acting = actingClient(keysOf(await headersOf()));
  assert.equal((await invoke(target, 'x', { as: acting })).status, 200);
  await okibi('DELETE', rolePath);
  await failsWith(invoke(target, 'x', { as: acting }), 'InvalidAccessKeyID', 403, /was removed/);
  assert.deepEqual(keysOf(await headersOf()), [undefined, undefined, undefined]);
  await allow(['*', '*']);
  await failsWith(invoke(target, 'x', { as: acting }), 'InvalidAccessKeyID', 403, /was removed/);
  await okibi('DELETE', rolePath);
});
