'use strict';
// Two accounts: one has a function with everything around it, the other tries every operation and every name on it;
// and requests that are changed after they were signed.
const crypto = require('node:crypto');
const fs = require('node:fs');
const test = require('node:test');
const { assert, client, clientWith, core, deploy, failsWith, fc, fetchRaw, invoke, okibi, waitFor } = require('./client');
const { RuntimeOptions } = require('@darabonba/typescript');

const name = 'isolated', marker = 'nobody-else-sees-this';
let other, otherKey, account, trigger, secretRequest;
test.before(async () => {
  otherKey = (await okibi('POST', 'accounts')).accessKey;
  other = clientWith(otherKey.accessKeyId, otherKey.accessKeySecret);
  const made = await deploy(name, { description: marker, environmentVariables: { KEY: marker } });
  account = made.functionArn.split(':')[3];
  await client.publishFunctionVersion(name, new fc.PublishFunctionVersionRequest({ body: new fc.PublishVersionInput({}) }));
  await client.createAlias(name, new fc.CreateAliasRequest({ body: new fc.CreateAliasInput({ aliasName: 'prod', versionId: '1' }) }));
  trigger = (await client.createTrigger(name, new fc.CreateTriggerRequest({ body: new fc.CreateTriggerInput({
    triggerName: 't', triggerType: 'http', triggerConfig: JSON.stringify({ authType: 'function', methods: ['GET'] }) }) }))).body;
  await client.putAsyncInvokeConfig(name, new fc.PutAsyncInvokeConfigRequest({ body: new fc.PutAsyncInvokeConfigInput({
    maxAsyncRetryAttempts: 1 }) }));
  await client.putConcurrencyConfig(name, new fc.PutConcurrencyConfigRequest({ body: new fc.PutConcurrencyInput({
    reservedConcurrency: 5 }) }));
  await client.putProvisionConfig(name, new fc.PutProvisionConfigRequest({ body: new fc.PutProvisionConfigInput({ defaultTarget: 1 }) }));
  await client.tagResources(new fc.TagResourcesRequest({ body: new fc.TagResourcesInput({ resourceId: [made.functionArn],
    resourceType: 'function', tag: [new fc.Tag({ key: marker, value: marker })] }) }));
  secretRequest = (await invoke(name, marker)).headers['x-fc-request-id'];
  await okibi('POST', 'quotas/requests', { body: { name: 'instances', value: 300, reason: marker } });
});
test.after(async () => {
  await client.deleteProvisionConfig(name, new fc.DeleteProvisionConfigRequest({}));
  await client.deleteFunction(name);
});

async function call(method, pathname, { query = {}, body } = {}) {
  const params = new core.$OpenApiUtil.Params({ action: 'Any', version: '2023-03-30', protocol: 'HTTP', pathname,
    method: method.toUpperCase(), authType: 'AK', style: 'ROA', reqBodyType: 'json', bodyType: 'json' });
  return (await other.callApi(params, new core.$OpenApiUtil.OpenApiRequest({ query, body, headers: {} }),
    new RuntimeOptions({}))).body;
}
const outcome = (promise) => promise.then((body) => ({ code: null, text: JSON.stringify(body) }),
  (e) => ({ code: e.code ?? e.name, text: e.message }));

test('every operation of the document on another\'s function: it is not there', async () => {
  const document = JSON.parse(fs.readFileSync(process.env.OKIBI_OPENAPI));
  const names = { functionName: name, triggerName: 't', versionId: '1', aliasName: 'prod' };
  let tried = 0;
  for (const [template, operations] of Object.entries(document.paths)) {
    if (!template.includes('{functionName}')) continue;
    const path = template.replace(/\{(\w+)\}/g, (_, key) => names[key] ?? 'x');
    for (const method of Object.keys(operations)) {
      const { code, text } = await outcome(call(method, path, { body: ['post', 'put'].includes(method) ? {} : undefined }));
      assert.equal(code, 'FunctionNotFound', `${method} ${path}: ${text}`);
      ++tried;
    }
  }
  assert.ok(tried > 30, `${tried} operations`);
});

test('every list, with and without its name, shows nothing of it', async () => {
  const lists = ['/2023-03-30/functions', '/2023-03-30/provision-configs', '/2023-03-30/scaling-configs',
    '/2023-03-30/concurrency-configs', '/2023-03-30/async-invoke-configs', '/2023-03-30/tags-v2', '/2023-03-30/layers',
    '/2023-03-30/custom-domains', '/okibi/v1/instances', '/okibi/v1/usage', '/okibi/v1/invocations', '/okibi/v1/images',
    '/okibi/v1/cards', '/okibi/v1/info', '/okibi/v1/quotas', '/okibi/v1/quotas/requests', '/okibi/v1/accounts', '/okibi/v1/roles'];
  for (const path of lists) {
    for (const query of [{}, { functionName: name }, { functionName: `${account}/${name}` },
      { requestId: secretRequest }, { coldOnly: 'true' }, { prefix: name }]) {
      const { code, text } = await outcome(call('GET', path, { query }));
      for (const secret of [name, marker, account, secretRequest, process.env.OKIBI_IMAGE]) {
        // What it asked for itself may be in a refusal.
        const said = code !== null && Object.values(query).some((v) => v.includes(secret));
        assert.ok(said || !text.includes(secret), `${path} ${JSON.stringify(query)} shows ${secret}: ${text}`);
      }
    }
  }
  await failsWith(call('GET', '/okibi/v1/logs', { query: { functionName: name } }), 'FunctionNotFound', 404);
});

test('names in other shapes do not reach it either', async () => {
  const arn = `acs:fc:local:${account}:functions/${name}`;
  for (const id of [arn, `${arn}/LATEST`, `${account}/${name}`, `../${account}/functions/${name}`, `${name}%00`, `${name}/`,
    ` ${name}`, name.toUpperCase()]) {
    const { code, text } = await outcome(call('GET', `/2023-03-30/functions/${encodeURIComponent(id)}`));
    assert.ok(['FunctionNotFound', 'InvalidArgument', 'PathNotSupported'].includes(code), `${id}: ${code} ${text}`);
    assert.ok(!text.includes(marker), text);
  }
  for (const id of [arn, arn.replace('local', 'cn-hangzhou'), name]) {
    await failsWith(call('GET', '/2023-03-30/tags-v2', { query: { ResourceId: JSON.stringify([id]), ResourceType: 'function' } }),
      'FunctionNotFound', 404);
    await failsWith(call('DELETE', '/2023-03-30/tags-v2', { query: { ResourceId: JSON.stringify([id]), ResourceType: 'function',
      All: 'true' } }), 'FunctionNotFound', 404);
  }
  await failsWith(invoke(name, 'x', { as: other }), 'FunctionNotFound', 404);
  await failsWith(invoke(name, 'x', { as: other, headers: { xFcInvocationType: 'Async' } }), 'FunctionNotFound', 404);
});

test('what is the machine\'s and not an account\'s is the administrator\'s', async () => {
  await failsWith(call('DELETE', '/okibi/v1/images', { query: { reference: process.env.OKIBI_IMAGE } }), 'AccessDenied', 403);
  const mine = (await okibi('GET', 'images')).images;
  assert.ok(mine.some((image) => image.inUseBy.includes(name)), JSON.stringify(mine));
  assert.deepEqual((await call('GET', '/okibi/v1/images')).images, []);
  await other.createFunction(new fc.CreateFunctionRequest({ body: new fc.CreateFunctionInput({ functionName: 'own',
    runtime: 'custom-container', handler: 'h', cpu: 0.25, memorySize: 256,
    customContainerConfig: new fc.CustomContainerConfig({ image: process.env.OKIBI_IMAGE }) }) }));
  await waitFor(async () => (await other.getFunction('own', new fc.GetFunctionRequest({}))).body.state === 'Active', 'active');
  assert.deepEqual((await call('GET', '/okibi/v1/images')).images.map((image) => image.inUseBy), [['own']]);
  const all = (await okibi('GET', 'images')).images.find((image) => image.reference === process.env.OKIBI_IMAGE);
  assert.ok(all.inUseBy.includes(`${otherKey.accountId}/own`), JSON.stringify(all));
  await other.deleteFunction('own');
});

// Signed by hand, so that it can be changed afterwards.
const sha = (x) => crypto.createHash('sha256').update(x).digest('hex');
function signed({ id = process.env.OKIBI_KEY_ID, secret = process.env.OKIBI_KEY_SECRET, method = 'GET',
  path = `/2023-03-30/functions/${name}`, query = '', body = '', date = new Date(), nonce = crypto.randomBytes(32).toString('hex') } = {}) {
  const headers = { host: process.env.OKIBI_ENDPOINT, 'x-acs-content-sha256': sha(body),
    'x-acs-date': date.toISOString().replace(/\.\d+/, ''), 'x-acs-signature-nonce': nonce };
  const names = Object.keys(headers).sort().join(';');
  const canonical = `${method}\n${path}\n${query}\n${Object.keys(headers).sort().map((k) => `${k}:${headers[k]}\n`).join('')}\n${names}\n${sha(body)}`;
  const signature = crypto.createHmac('sha256', secret).update(`ACS3-HMAC-SHA256\n${sha(canonical)}`).digest('hex');
  headers.authorization = `ACS3-HMAC-SHA256 Credential=${id},SignedHeaders=${names},Signature=${signature}`;
  return { method, url: `http://${process.env.OKIBI_ENDPOINT}${path}${query ? `?${query}` : ''}`, options: { headers, body } };
}
async function send({ method, url, options }, change = () => {}) {
  const request = { method, url, options: { ...options, headers: { ...options.headers } } };
  change(request);
  const answer = await fetchRaw(request.method, request.url, request.options);
  return [answer.status, answer.status === 200 ? '' : JSON.parse(answer.text).Code];
}

test('a request that was changed after it was signed, or signed by somebody else, is refused', async () => {
  assert.deepEqual(await send(signed()), [200, '']);
  const refused = async (request, change, code = 'SignatureNotMatch') => {
    assert.deepEqual(await send(request, change), [403, code], change.toString());
  };
  await refused(signed(), (r) => { r.method = 'DELETE'; });
  await refused(signed({ path: '/2023-03-30/functions/none' }), (r) => { r.url = r.url.replace('none', name); });
  await refused(signed(), (r) => { r.url += '?qualifier=1'; });
  await refused(signed({ query: 'qualifier=LATEST' }), (r) => { r.url = r.url.replace('LATEST', '1'); });
  await refused(signed({ query: 'qualifier=LATEST' }), (r) => { r.url += '&qualifier=1'; });
  await refused(signed({ method: 'PUT', body: '{"timeout":5}' }), (r) => { r.options.body = '{"timeout":6}'; });
  await refused(signed({ method: 'PUT', body: '{}' }), (r) => {
    r.options.body = '{"timeout":6}';
    r.options.headers['x-acs-content-sha256'] = sha('{"timeout":6}');
  });
  await refused(signed(), (r) => { r.options.headers['x-acs-security-token'] = 'x'; });
  await refused(signed(), (r) => { r.options.headers['x-acs-signature-nonce'] = 'another'; });
  await refused(signed(), (r) => { r.options.headers['x-acs-date'] = new Date(Date.now() + 60e3).toISOString().replace(/\.\d+/, ''); });
  await refused(signed(), (r) => { r.options.headers.host = 'elsewhere'; });
  await refused(signed(), (r) => { r.options.headers.authorization = r.options.headers.authorization.slice(0, -1); });
  await refused(signed(), (r) => { r.options.headers.authorization = r.options.headers.authorization.replace('ACS3', 'ACS1'); });
  // The other's signature under this account's key, and the other way round.
  await refused(signed({ secret: otherKey.accessKeySecret }), () => {});
  await refused(signed({ id: otherKey.accessKeyId }), () => {});
  await refused(signed({ id: 'nobody' }), () => {}, 'InvalidAccessKeyID');
  for (const minutes of [-16, 16]) {
    await refused(signed({ date: new Date(Date.now() + minutes * 60e3) }), () => {}, 'AccessDenied');
  }
});

test('a nonce is good once, in one spelling or another, and each key has its own', async () => {
  const nonce = crypto.randomBytes(32).toString('hex');
  const first = signed({ nonce });
  assert.deepEqual(await send(first), [200, '']);
  assert.deepEqual(await send(first), [403, 'AccessDenied']);
  assert.deepEqual(await send(signed({ nonce, path: '/2023-03-30/regions' })), [403, 'AccessDenied']);
  assert.deepEqual(await send(signed({ nonce, date: new Date(Date.now() + 5e3) })), [403, 'AccessDenied']);
  const of = { id: otherKey.accessKeyId, secret: otherKey.accessKeySecret, nonce, path: '/2023-03-30/regions' };
  assert.deepEqual(await send(signed(of)), [200, '']);
  assert.deepEqual(await send(signed(of)), [403, 'AccessDenied']);
  // One that was refused for its signature uses up nothing.
  const fresh = crypto.randomBytes(32).toString('hex');
  assert.deepEqual(await send(signed({ nonce: fresh, secret: 'wrong' })), [403, 'SignatureNotMatch']);
  assert.deepEqual(await send(signed({ nonce: fresh })), [200, '']);
});

test('the trigger with signatures does not take the other\'s, on any of its names', async () => {
  const util = require('@alicloud/openapi-util');
  const get = (url, id, secret) => {
    const date = new Date().toISOString();
    const path = new URL(url).pathname;
    const authorization = util.default.getAuthorization({ method: 'GET', pathname: path, query: {}, headers: { 'x-acs-date': date } },
      'ACS3-HMAC-SHA256', '', id, secret);
    return fetchRaw('GET', url, { headers: { 'x-acs-date': date, authorization } });
  };
  const label = new URL(trigger.httpTrigger.urlInternet).hostname.split('.')[0];
  for (const url of [trigger.httpTrigger.urlInternet, trigger.httpTrigger.urlIntranet,
    `http://${process.env.OKIBI_ENDPOINT}/proxy/${label}/`]) {
    const answer = await get(url, otherKey.accessKeyId, otherKey.accessKeySecret);
    assert.equal(answer.status, 403, url);
    assert.ok(!answer.text.includes(account), answer.text);
    assert.equal((await fetchRaw('GET', url)).status, 400, url);
  }
});
