'use strict';
// HTTP triggers: addresses, who may call, cross-origin rules; timers.
const crypto = require('node:crypto');
const test = require('node:test');
const { assert, client, deploy, failsWith, fc, fetchRaw, okibi, remove, waitFor } = require('./client');
const util = require('@alicloud/openapi-util');

const name = 'trig';
test.before(() => deploy(name, { instanceConcurrency: 10 }));
test.after(() => remove(name));

const input = (triggerName, config, more = {}) => new fc.CreateTriggerRequest({
  body: new fc.CreateTriggerInput({ triggerName, triggerType: 'http',
    triggerConfig: JSON.stringify({ methods: ['GET', 'POST'], ...config }), ...more }) });
async function withTrigger(config, act) {
  const { body } = await client.createTrigger(name, input('t', config));
  try {
    await act(body.httpTrigger.urlInternet, body);
  } finally {
    await client.deleteTrigger(name, 't');
  }
}
const denied = async (answer, message) => {
  const { status, text } = await answer;
  assert.equal(status, 403, text);
  assert.match(JSON.parse(text).Message, message);
};

test('an address of its own, by name and by path', () => withTrigger({ authType: 'anonymous' },
  async (url, trigger) => {
    assert.match(url, /^http:\/\/[0-9a-f]{24}\.local\.okibi\.localhost:\d+\/$/);
    assert.match(trigger.httpTrigger.urlIntranet, /\.local-vpc\.okibi\.localhost:\d+\/$/);
    assert.equal(new URL(url).port, process.env.OKIBI_ENDPOINT.split(':')[1]);
    const label = new URL(url).hostname.split('.')[0];
    assert.notEqual(label, trigger.triggerId);
    const seen = JSON.parse((await fetchRaw('POST', `${url}a/b?inspect=1&x=%20y`, { body: 'hi' })).text);
    assert.equal(seen.target, '/a/b?inspect=1&x=%20y');
    const byPath = `http://${process.env.OKIBI_ENDPOINT}/proxy/${label}/a?inspect=1`;
    assert.equal(JSON.parse((await fetchRaw('GET', byPath)).text).target, '/a?inspect=1');
    assert.equal((await fetchRaw('GET', byPath.replace(label, '0'.repeat(24)))).status, 404);
    assert.equal((await fetchRaw('GET', `http://${process.env.OKIBI_ENDPOINT}/trigger/${label}/`)).status, 404);
    await denied(fetchRaw('PUT', url), /method PUT is not allowed/);
  }));

test('disableURLInternet leaves the inner name', () => withTrigger(
  { authType: 'anonymous', disableURLInternet: true }, async (_, trigger) => {
    assert.equal(trigger.httpTrigger.urlInternet, undefined);
    const inner = trigger.httpTrigger.urlIntranet;
    assert.equal((await fetchRaw('GET', inner)).status, 200);
    await denied(fetchRaw('GET', inner.replace('-vpc', '')), /internet URL is disable/);
  }));

test('function: the signature of openapi-util', () => withTrigger({ authType: 'function' }, async (url) => {
  const sign = (secret, date = new Date().toISOString()) => {
    const request = { method: 'GET', pathname: '/x', query: { a: 'b' }, headers: { 'x-acs-date': date } };
    const authorization = util.default.getAuthorization(request, 'ACS3-HMAC-SHA256', '',
      process.env.OKIBI_KEY_ID, secret);
    return { 'x-acs-date': date, authorization };
  };
  const get = (headers) => fetchRaw('GET', `${url}x?a=b`, { headers });
  assert.equal((await get(sign(process.env.OKIBI_KEY_SECRET))).status, 200);
  assert.equal((await get(sign('wrong'))).status, 403);
  assert.equal((await get(sign(process.env.OKIBI_KEY_SECRET,
    new Date(Date.now() - 20 * 60000).toISOString()))).status, 403);
  const bare = await get({});
  assert.equal(bare.status, 400);
  assert.match(bare.text, /required HTTP header/);
}));

test('bearer', () => {
  const tokenData = 'a'.repeat(40), off = 'b'.repeat(40);
  return withTrigger({ authType: 'bearer', authConfig: JSON.stringify({ tokens: [
    { tokenName: 'one', tokenData, enable: true }, { tokenName: 'two', tokenData: off, enable: false }] }) },
  async (url) => {
    const get = (authorization) => fetchRaw('GET', url, { headers: authorization ? { authorization } : {} });
    assert.equal((await get(`Bearer ${tokenData}`)).status, 200);
    await denied(get(), /Authorization header is expected but missing/);
    await denied(get(`Bearer ${off}`), /invalid bearer token/);
    await denied(get(`Bearer ${tokenData}x`), /invalid bearer token/);
  });
});

test('basic', () => withTrigger({ authType: 'basic',
  authConfig: { users: [{ username: 'u', password: 'p:w' }] } }, async (url) => {
  const get = (authorization) => fetchRaw('GET', url, { headers: authorization ? { authorization } : {} });
  assert.equal((await get(`Basic ${Buffer.from('u:p:w').toString('base64')}`)).status, 200);
  await denied(get(), /authorization require/);
  await denied(get('Bearer x'), /must start with Basic/);
  await denied(get(`Basic ${Buffer.from('u:x').toString('base64')}`), /invalid user or password/);
}));

const base64url = (x) => Buffer.from(x).toString('base64url');
function jwt(algorithm, claims, sign) {
  const covered = `${base64url(JSON.stringify({ alg: algorithm, typ: 'JWT' }))}.${base64url(JSON.stringify(claims))}`;
  return `${covered}.${sign(covered).toString('base64url')}`;
}

for (const [algorithm, make] of [
  ['RS256', () => crypto.generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ['ES256', () => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' })]]) {
  test(`jwt ${algorithm}: key, time, places, claims`, () => {
    const { publicKey, privateKey } = make();
    const sign = (text) => crypto.sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return withTrigger({ authType: 'jwt', authConfig: { jwks: { keys: [publicKey.export({ format: 'jwk' })] },
      tokenLookup: 'header:Authorization:Bearer,cookie:session', claimPassBy: 'header:name:x-name,query:uid:uid',
      whitelist: ['/open/*'] } }, async (url) => {
      const now = Math.floor(Date.now() / 1000);
      const good = jwt(algorithm, { exp: now + 60, name: 'kyo', uid: 7 }, sign);
      const get = (headers, where = '?inspect=1') => fetchRaw('GET', url + where, { headers });
      const seen = JSON.parse((await get({ authorization: `Bearer ${good}`, 'x-name': 'forged' })).text);
      assert.equal(seen.target, '/?inspect=1&uid=7');
      assert.match(JSON.stringify(seen.headers), /kyo/);
      assert.doesNotMatch(JSON.stringify(seen.headers), /forged/);
      assert.equal((await get({ cookie: `a=b; session=${good}` })).status, 200);
      assert.equal((await get({}, 'open/x')).status, 200);
      await denied(get({}), /missing or malformed jwt/);
      const bad = (token) => denied(get({ authorization: `Bearer ${token}` }), /invalid or expired jwt/);
      await bad(jwt(algorithm, { exp: now - 60 }, sign));
      await bad(jwt(algorithm, { nbf: now + 60 }, sign));
      await bad(good.slice(0, -4) + 'AAAA');
      await bad(jwt('none', { exp: now + 60 }, () => Buffer.alloc(0)));
      // The public key taken for a secret.
      const pem = publicKey.export({ format: 'pem', type: 'spki' });
      await bad(jwt('HS256', { exp: now + 60 }, (t) => crypto.createHmac('sha256', pem).update(t).digest()));
    });
  });
}

test('cross-origin: every origin, or those of the rule', async () => {
  await withTrigger({ authType: 'anonymous' }, async (url) => {
    const { headers } = await fetchRaw('GET', url, { headers: { origin: 'http://a.example' } });
    assert.equal(headers['access-control-allow-origin'], 'http://a.example');
    assert.equal(headers['access-control-allow-credentials'], 'true');
    assert.match(headers['access-control-expose-headers'], /x-fc-request-id/);
  });
  const corsConfig = { allowOrigins: ['http://a.example'], allowMethods: ['GET'], allowHeaders: ['x-a'],
    exposeHeaders: ['x-b'], allowCredentials: true, maxAge: 5 };
  await withTrigger({ authType: 'basic', authConfig: { users: [{ username: 'u', password: 'p' }] }, corsConfig },
    async (url) => {
      const ask = (origin, method) => fetchRaw('OPTIONS', url, { headers: { origin,
        'access-control-request-method': method, 'access-control-request-headers': 'X-A' } });
      const yes = await ask('http://a.example', 'GET');
      assert.equal(yes.status, 204);
      assert.equal(yes.headers['access-control-max-age'], '5');
      assert.equal(yes.headers['access-control-allow-methods'], 'GET');
      assert.notEqual((await ask('http://b.example', 'GET')).status, 204);
      assert.notEqual((await ask('http://a.example', 'DELETE')).status, 204);
      const login = { authorization: `Basic ${Buffer.from('u:p').toString('base64')}` };
      const from = (origin) => fetchRaw('GET', url, { headers: { origin, ...login } });
      assert.equal((await from('http://a.example')).headers['access-control-expose-headers'], 'x-b');
      assert.equal((await from('http://b.example')).headers['access-control-allow-origin'], undefined);
    });
});

test('asynchronously: 202, and the function gets the request as it came', () => withTrigger({ authType: 'anonymous' },
  async (url) => {
    const headers = { 'x-fc-invocation-type': 'Async', 'x-fc-async-task-id': 'by-http' };
    const accepted = await fetchRaw('POST', `${url}log?text=from-the-queue`, { headers, body: 'x' });
    assert.deepEqual([accepted.status, accepted.text, accepted.headers['x-fc-async-task-id']], [202, '', 'by-http']);
    assert.match(accepted.headers['x-fc-request-id'], /^1-/);
    await waitFor(async () => (await okibi('GET', 'logs', { query: { functionName: name } })).lines
      .some((l) => l.text.includes('from-the-queue')), 'the function has run');
    const long = await fetchRaw('POST', url, { headers, body: 'x'.repeat(128 * 1024 + 1) });
    assert.deepEqual([long.status, JSON.parse(long.text).Code], [400, 'EntityTooLarge']);
    await denied(fetchRaw('PUT', url, { headers }), /method PUT is not allowed/);
  }));

test('update, list, refusals', async () => {
  await client.createTrigger(name, input('a', { authType: 'anonymous' }));
  // A qualifier has one HTTP trigger.
  await failsWith(client.createTrigger(name, input('b', { authType: 'function' })), 'TriggerAlreadyExists', 409,
    /'LATEST' of function 'trig' has the HTTP trigger 'a'/);
  const { versionId } = (await client.publishFunctionVersion(name, new fc.PublishFunctionVersionRequest({
    body: new fc.PublishVersionInput({}) }))).body;
  await client.createTrigger(name, input('b', { authType: 'function' }, { description: 'd', qualifier: versionId }));
  await failsWith(client.updateTrigger(name, 'b', new fc.UpdateTriggerRequest({ body: new fc.UpdateTriggerInput({
    qualifier: 'LATEST' }) })), 'TriggerAlreadyExists', 409);
  const list = async (q) => (await client.listTriggers(name, new fc.ListTriggersRequest(q))).body;
  assert.deepEqual((await list({})).triggers.map((t) => t.triggerName), ['a', 'b']);
  const page = await list({ limit: 1 });
  assert.deepEqual((await list({ limit: 1, nextToken: page.nextToken })).triggers.map((t) => t.triggerName), ['b']);
  const updated = (await client.updateTrigger(name, 'a', new fc.UpdateTriggerRequest({
    body: new fc.UpdateTriggerInput({ triggerConfig: JSON.stringify({ authType: 'anonymous', methods: ['PUT'] }) }) }))).body;
  assert.equal((await fetchRaw('PUT', updated.httpTrigger.urlInternet)).status, 200);
  await failsWith(client.createTrigger(name, input('a', { authType: 'anonymous' })), 'TriggerAlreadyExists', 409);
  const refused = (config, field, more) => failsWith(client.createTrigger(name, input('x', config, more)),
    'InvalidArgument', 400, field);
  await refused({}, /authType: is required/);
  await refused({ authType: 'magic' }, /authType: 'magic'/);
  await refused({ authType: 'bearer' }, /authConfig: is required/);
  await refused({ authType: 'bearer', authConfig: { tokens: [{ tokenName: 'n', tokenData: 'short' }] } },
    /tokens\[0\]\.tokenData: has 5 characters, allowed 32–128/);
  await refused({ authType: 'jwt', authConfig: { jwks: { keys: [{ kty: 'RSA', n: 'x', e: 'AQAB' }] } } }, /jwks/);
  await refused({ authType: 'anonymous', methods: ['BREW'] }, /BREW/);
  await refused({ authType: 'anonymous', corsConfig: { allowOrigins: ['*'], allowCredentials: true } }, /allowCredentials/);
  await refused({ authType: 'anonymous' }, /triggerType: 'oss' is not offered/, { triggerType: 'oss' });
  await failsWith(client.createTrigger(name, input('x', { authType: 'anonymous' }, { qualifier: 'nobody' })),
    'AliasNotFound', 404);
  await client.deleteTrigger(name, 'a');
  await client.deleteTrigger(name, 'b');
  await failsWith(client.getTrigger(name, 'a'), 'TriggerNotFound', 404);
  await failsWith(client.updateTrigger(name, 'a', new fc.UpdateTriggerRequest({
    body: new fc.UpdateTriggerInput({ description: '' }) })), 'TriggerNotFound', 404);
});
