'use strict';
// docs/openapi.json against the daemon: what it names is served, and what it does not name is not.
const fs = require('node:fs');
const test = require('node:test');
const { assert, client, core, deploy, remove } = require('./client');
const { RuntimeOptions } = require('@darabonba/typescript');

const name = 'openapi';
const document = JSON.parse(fs.readFileSync(process.env.OKIBI_OPENAPI));
test.before(() => deploy(name));
test.after(() => remove(name));

// The code of the answer; null: it succeeded.
async function codeOf(method, template) {
  const pathname = template.replace('{functionName}', name).replace(/\{\w+\}/g, 'none');
  const params = new core.$OpenApiUtil.Params({ action: 'Any', version: '2023-03-30', protocol: 'HTTP', pathname,
    method: method.toUpperCase(), authType: 'AK', style: 'ROA', reqBodyType: 'json', bodyType: 'none' });
  const body = ['post', 'put'].includes(method) ? { nothing: true } : undefined;
  try {
    await client.callApi(params, new core.$OpenApiUtil.OpenApiRequest({ body, headers: {} }), new RuntimeOptions({}));
    return null;
  } catch (e) {
    assert.ok(e.statusCode < 500, `${method} ${pathname}: ${e.message}`);
    return e.code;
  }
}

// What would change the world of the other cases comes last or not at all.
const isLast = (method, path) => method === 'delete' && path.endsWith('/functions/{functionName}');
const makesAccounts = (method, path) => method === 'post' && /\/(accounts|keys)$/.test(path);
const disables = (path) => path.endsWith('/invoke/disable');

test('every operation of the document is served', async () => {
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const method of Object.keys(operations)) {
      if (isLast(method, path) || makesAccounts(method, path) || disables(path)) continue;
      assert.notEqual(await codeOf(method, path), 'PathNotSupported', `${method} ${path}`);
    }
  }
});

test('no other method is', async () => {
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const method of ['get', 'put', 'post', 'delete']) {
      if (operations[method]) continue;
      const code = await codeOf(method, path);
      // What does not exist is said before what could be done with it.
      assert.ok(code === 'PathNotSupported' || /NotFound$|NotExists$/.test(code), `${method} ${path}: ${code}`);
    }
  }
});

test('every operation has its name once', () => {
  const names = Object.values(document.paths).flatMap((p) => Object.values(p).map((o) => o.operationId));
  assert.equal(new Set(names).size, names.length);
});
