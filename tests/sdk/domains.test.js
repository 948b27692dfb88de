'use strict';
// Custom domains: every operation, good and bad, and what requests to them do.
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { assert, client, clientWith, deploy, failsWith, fc, fetchRaw, okibi, remove, waitFor } = require('./client');

const name = 'domained', domainName = 'www.shop.example';
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'okibi-sdk-domains-'));
let other;
test.before(async () => {
  await deploy(name, { instanceConcurrency: 10 });
  const { accessKey } = await okibi('POST', 'accounts');
  other = clientWith(accessKey.accessKeyId, accessKey.accessKeySecret);
});
test.after(async () => {
  await remove(name);
  fs.rmSync(work, { recursive: true });
});

// A self-signed certificate; `days` may be negative.
function certificate(commonName) {
  const [key, cert] = ['key', 'crt'].map((kind) => path.join(work, `${commonName}.${kind}`));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
    '-subj', `/CN=${commonName}`, '-addext', `subjectAltName=DNS:${commonName}`, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return new fc.CertConfig({ certName: commonName, certificate: fs.readFileSync(cert, 'utf8'),
    privateKey: fs.readFileSync(key, 'utf8') });
}

const routes = (...list) => new fc.RouteConfig({ routes: list.map((one) => new fc.PathConfig({ functionName: name, ...one })) });
const create = (fields = {}, as = client) => as.createCustomDomain(new fc.CreateCustomDomainRequest({
  body: new fc.CreateCustomDomainInput({ domainName, protocol: 'HTTP', routeConfig: routes({ path: '/*' }), ...fields }) }));
const update = (fields, as = client, domain = domainName) => as.updateCustomDomain(domain, new fc.UpdateCustomDomainRequest({
  body: new fc.UpdateCustomDomainInput(fields) }));
const get = async (domain = domainName) => (await client.getCustomDomain(domain)).body;
const ask = (method, target, options = {}) => fetchRaw(method, `http://${process.env.OKIBI_ENDPOINT}${target}`,
  { host: domainName, ...options });
const refused = (promise, message) => failsWith(promise, 'InvalidArgument', 400, message);
async function withDomain(fields, act) {
  const { body } = await create(fields);
  try {
    await act(body);
  } finally {
    await client.deleteCustomDomain(domainName);
  }
}

test('create, read, update, list, delete', async () => {
  const rewriteConfig = new fc.RewriteConfig({ equalRules: [new fc.EqualRule({ match: '/old', replacement: '/new' })],
    wildcardRules: [new fc.WildcardRule({ match: '/api/*', replacement: '/$1' })],
    regexRules: [new fc.RegexRule({ match: '^/r/(\\d+)$', replacement: '/number/$1' })] });
  await withDomain({ domainName: 'WWW.shop.example', routeConfig: routes({ path: '/*', methods: ['GET', 'POST'], rewriteConfig }) },
    async (made) => {
      assert.equal(made.domainName, domainName);
      const read = await get();
      assert.deepEqual(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(made)));
      assert.equal(read.protocol, 'HTTP');
      assert.equal(read.apiVersion, '2023-03-30');
      assert.equal(read.accountId, (await okibi('GET', 'info')).accountId);
      assert.equal(read.authConfig, undefined);
      assert.equal(read.wafConfig.enableWAF, false);
      const [route] = read.routeConfig.routes;
      assert.deepEqual([route.functionName, route.qualifier, route.methods], [name, 'LATEST', ['GET', 'POST']]);
      assert.equal(route.rewriteConfig.wildcardRules[0].replacement, '/$1');
      assert.equal(JSON.parse((await ask('GET', '/old?inspect=1')).text).target, '/new?inspect=1');
      assert.equal(JSON.parse((await ask('GET', '/api/a/b?inspect=1')).text).target, '/a/b?inspect=1');
      assert.equal(JSON.parse((await ask('POST', '/r/42?inspect=1')).text).target, '/number/42?inspect=1');
      assert.equal((await ask('PUT', '/r/42')).status, 403);

      // What an update does not name stays.
      const updated = (await update({ corsConfig: new fc.CORSConfig({ allowOrigins: ['https://a.example'], allowMethods: ['GET'] }) })).body;
      assert.equal(updated.routeConfig.routes.length, 1);
      assert.deepEqual(updated.corsConfig.allowOrigins, ['https://a.example']);
      assert.equal((await ask('GET', '/', { headers: { origin: 'https://a.example' } })).headers['access-control-allow-origin'],
        'https://a.example');
      await update({ routeConfig: routes({ path: '/only' }) });
      assert.equal((await ask('GET', '/only')).status, 200);
      const none = await ask('GET', '/else');
      assert.deepEqual([none.status, JSON.parse(none.text).Code], [404, 'RouteNotFound']);

      for (const extra of ['a.shop.example', 'b.shop.example', 'c.other.example']) await create({ domainName: extra });
      const list = (fields) => client.listCustomDomains(new fc.ListCustomDomainsRequest(fields));
      const page = (await list({ limit: 2 })).body;
      assert.deepEqual(page.customDomains.map((d) => d.domainName), ['a.shop.example', 'b.shop.example']);
      const rest = (await list({ limit: 2, nextToken: page.nextToken })).body;
      assert.deepEqual(rest.customDomains.map((d) => d.domainName), ['c.other.example', domainName]);
      assert.ok(!rest.nextToken);
      assert.deepEqual((await list({ prefix: 'c.' })).body.customDomains.map((d) => d.domainName), ['c.other.example']);
      await refused(list({ limit: 101 }), /limit: '101'/);
      for (const extra of ['a.shop.example', 'b.shop.example', 'c.other.example']) await client.deleteCustomDomain(extra);
    });
  await failsWith(client.getCustomDomain(domainName), 'DomainNameNotFound', 404);
  await failsWith(client.deleteCustomDomain(domainName), 'DomainNameNotFound', 404);
  await failsWith(update({ protocol: 'HTTP' }), 'DomainNameNotFound', 404);
  assert.equal((await ask('GET', '/2023-03-30/nothing')).status, 400);  // nobody's: the API's again
});

test('nothing of the API is below a domain', () => withDomain({}, async () => {
  for (const target of ['/2023-03-30/functions', '/okibi/v1/info', '/proxy/x/']) {
    assert.equal(JSON.parse((await ask('GET', `${target}?inspect=1`)).text).target, `${target}?inspect=1`);
  }
}));

test('a name belongs to one account', () => withDomain({}, async () => {
  await failsWith(create(), 'DomainNameAlreadyExists', 409);
  await failsWith(create({ routeConfig: routes() }, other), 'AccessDenied', 403, /another account/);
  await failsWith(create({ domainName: '*.shop.example', routeConfig: routes() }, other), 'AccessDenied', 403);
  await failsWith(other.getCustomDomain(domainName), 'DomainNameNotFound', 404);
  await failsWith(update({ protocol: 'HTTP' }, other), 'DomainNameNotFound', 404);
  await failsWith(other.deleteCustomDomain(domainName), 'DomainNameNotFound', 404);
  assert.deepEqual((await other.listCustomDomains(new fc.ListCustomDomainsRequest({}))).body.customDomains, []);
  // Another's function is no route's.
  await failsWith(create({ domainName: 'theirs.example' }, other), 'FunctionNotFound', 404, /routes\[0\]/);
}));

test('bad input names its field', async () => {
  const bad = (fields, message) => refused(create(fields), message);
  for (const wrong of ['localhost', 'x.localhost', '127.0.0.1', 'one', 'a..example', 'a_b.c', 'x y.example', os.hostname()]) {
    await bad({ domainName: wrong }, /domainName: /);
  }
  await bad({ domainName: undefined }, /domainName: is required/);
  await bad({ protocol: 'FTP' }, /protocol: 'FTP' is not HTTP, HTTPS/);
  await bad({ protocol: 'HTTPS' }, /certConfig: is required for HTTPS/);
  await bad({ routeConfig: routes({ path: 'a' }) }, /routeConfig\.routes\[0\]\.path/);
  await bad({ routeConfig: routes({ path: '/a', functionName: '' }) }, /routeConfig\.routes\[0\]\.functionName: is required/);
  await bad({ routeConfig: routes({ path: '/a', methods: ['TRACE'] }) }, /routes\[0\]\.methods: 'TRACE'/);
  await bad({ routeConfig: routes({ path: '/a', rewriteConfig: new fc.RewriteConfig({
    regexRules: [new fc.RegexRule({ match: '(', replacement: '/a' })] }) }) }, /rewriteConfig\.regexRules\[0\]\.match/);
  await bad({ wafConfig: new fc.WAFConfig({ enableWAF: true }) }, /wafConfig\.enableWAF/);
  await bad({ tlsConfig: new fc.TLSConfig({ minVersion: 'TLSv1.0' }) }, /tlsConfig\.minVersion: 'TLSv1\.0'/);
  await bad({ tlsConfig: new fc.TLSConfig({ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' }) }, /tlsConfig\.maxVersion/);
  await bad({ tlsConfig: new fc.TLSConfig({ cipherSuites: ['TLS_NONE'] }) }, /tlsConfig\.cipherSuites: \[0\]: 'TLS_NONE'/);
  await bad({ tlsConfig: new fc.TLSConfig({ cipherSuites: ['TLS_RSA_WITH_RC4_128_SHA'] }) }, /none of/);
  await bad({ authConfig: new fc.AuthConfig({ authType: 'jwt' }) }, /authConfig\.authInfo: is required/);
  await bad({ authConfig: new fc.AuthConfig({ authType: 'magic' }) }, /authConfig\.authType: 'magic'/);
  await failsWith(create({ routeConfig: routes({ path: '/a', functionName: 'nobody' }) }), 'FunctionNotFound', 404, /routes\[0\]/);
  await failsWith(create({ routeConfig: routes({ path: '/a', qualifier: '7' }) }), 'VersionNotFound', 404);
});

test('certificates: checked, and the key never shown', async () => {
  const good = certificate(domainName), wrong = certificate('else.example');
  const mixed = new fc.CertConfig({ ...good, privateKey: wrong.privateKey });
  await refused(create({ protocol: 'HTTPS', certConfig: mixed }), /certConfig\.privateKey: does not belong/);
  await refused(create({ certConfig: new fc.CertConfig({ ...good, certificate: 'text' }) }), /certConfig\.certificate: is no certificate/);
  await refused(create({ certConfig: new fc.CertConfig({ certName: 'c', certificate: good.certificate }) }), /certConfig\.privateKey: is required/);
  await withDomain({ protocol: 'HTTP,HTTPS', certConfig: good, tlsConfig: new fc.TLSConfig({ minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3', cipherSuites: ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'] }) }, async (made) => {
    assert.equal(made.certConfig.certName, domainName);
    assert.match(made.certConfig.certificate, /BEGIN CERTIFICATE/);
    assert.equal(made.certConfig.privateKey, undefined);
    assert.equal((await get()).certConfig.privateKey, undefined);
    assert.equal((await get()).tlsConfig.minVersion, 'TLSv1.2');
    assert.equal((await ask('GET', '/')).status, 200);
    await update({ certConfig: new fc.CertConfig({ certName: 'renamed', certificate: good.certificate }) });
    assert.equal((await get()).certConfig.certName, 'renamed');
    await refused(update({ certConfig: new fc.CertConfig({ certificate: wrong.certificate }) }), /certConfig\.privateKey: does not belong/);
    await update({ protocol: 'HTTPS' });
    const plain = await ask('GET', '/');
    assert.deepEqual([plain.status, JSON.parse(plain.text).Message.includes('HTTPS only')], [403, true]);
  });
});

test('asynchronously: 202, and the function gets the request as its route and rule have it', () => withDomain({
  routeConfig: routes({ path: '/api/*', rewriteConfig: new fc.RewriteConfig({
    wildcardRules: [new fc.WildcardRule({ match: '/api/*', replacement: '/$1' })] }) }) }, async () => {
  const headers = { 'x-fc-invocation-type': 'Async', 'x-fc-async-task-id': 'by-domain' };
  const accepted = await ask('POST', '/api/log?text=through-the-domain', { headers, body: 'x' });
  assert.deepEqual([accepted.status, accepted.text, accepted.headers['x-fc-async-task-id']], [202, '', 'by-domain']);
  await waitFor(async () => (await okibi('GET', 'logs', { query: { functionName: name } })).lines
    .some((l) => l.text.includes('through-the-domain')), 'the function has run');
  const elsewhere = await ask('POST', '/other', { headers: { 'x-fc-invocation-type': 'Async' }, body: 'x' });
  assert.equal(elsewhere.status, 404, elsewhere.text);
}));

test('who may call: bearer, function', () => withDomain({ authConfig: new fc.AuthConfig({ authType: 'bearer',
  authInfo: JSON.stringify({ tokens: [{ tokenName: 't', tokenData: 'x'.repeat(32) }] }) }) }, async () => {
  assert.equal((await ask('GET', '/')).status, 403);
  assert.equal((await ask('GET', '/', { headers: { authorization: `Bearer ${'x'.repeat(32)}` } })).status, 200);
  await update({ authConfig: new fc.AuthConfig({ authType: 'function' }) });
  assert.equal((await ask('GET', '/')).status, 400);
  await update({ authConfig: new fc.AuthConfig({ authType: 'anonymous' }) });
  assert.equal((await ask('GET', '/')).status, 200);
}));
