'use strict';
// What the tests share: the official SDK, unmodified, and a few helpers. run.sh sets OKIBI_*.
const assert = require('node:assert/strict');
const http = require('node:http');
const { Readable } = require('node:stream');
const fc = require('@alicloud/fc20230330');
const core = require('@alicloud/openapi-core');
const { RuntimeOptions } = require('@darabonba/typescript');

const clientWith = (accessKeyId, accessKeySecret) => new fc.default(new core.$OpenApiUtil.Config({
  accessKeyId, accessKeySecret, endpoint: process.env.OKIBI_ENDPOINT, protocol: 'http' }));
const client = clientWith(process.env.OKIBI_KEY_ID, process.env.OKIBI_KEY_SECRET);

async function failsWith(promise, code, status, message = /./) {
  await assert.rejects(promise, (e) => {
    assert.equal(e.code, code, e.message);
    assert.equal(e.statusCode, status);
    assert.match(e.message, message);
    return true;
  });
}

async function waitFor(condition, what, seconds = 120) {
  for (let i = 0; i < seconds * 10; ++i) {
    const value = await condition();
    if (value) return value;
    await new Promise((done) => setTimeout(done, 100));
  }
  assert.fail(`${what} did not come true in ${seconds} s`);
}

async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const settled = (name) => waitFor(async () => {
  const { body } = await client.getFunction(name, new fc.GetFunctionRequest({}));
  assert.notEqual(body.state, 'Failed', body.stateReason);
  return body.state === 'Active' && body.lastUpdateStatus !== 'InProgress' && body;
}, `${name} active`);

async function deploy(functionName, fields = {}) {
  await client.createFunction(new fc.CreateFunctionRequest({ body: new fc.CreateFunctionInput({
    functionName, runtime: 'custom-container', handler: 'h', cpu: 0.25, memorySize: 256, timeout: 30,
    customContainerConfig: new fc.CustomContainerConfig({ image: process.env.OKIBI_IMAGE }),
    ...fields }) }));
  return settled(functionName);
}

async function update(name, fields) {
  await client.updateFunction(name, new fc.UpdateFunctionRequest({
    body: new fc.UpdateFunctionInput(fields) }));
  return settled(name);
}

// A plain call of the SDK, which sends and returns what its typed models would drop.
async function call(method, pathname, { query = {}, body, reqBodyType = 'json',
  bodyType = method === 'DELETE' ? 'none' : 'json' } = {}) {
  const params = new core.$OpenApiUtil.Params({ action: 'Any', version: '2023-03-30', protocol: 'HTTP',
    pathname: `/2023-03-30${pathname}`, method, authType: 'AK', style: 'ROA', reqBodyType, bodyType });
  return (await client.callApi(params, new core.$OpenApiUtil.OpenApiRequest({ query, body, headers: {} }),
    new RuntimeOptions({}))).body;
}

async function remove(name) {
  try {
    await client.deleteFunction(name);
  } catch (e) {
    if (e.code !== 'FunctionNotFound') throw e;
  }
}

// `within`: how many milliseconds it would wait in line; the daemon's own deadline suits cold starts on slow machines.
async function invoke(name, text, { qualifier, headers = {}, as = client, within } = {}) {
  const commonHeaders = within === undefined ? {} : { 'x-okibi-queue-deadline-ms': `${within}` };
  const request = new fc.InvokeFunctionRequest({ body: Readable.from([Buffer.from(text)]), qualifier });
  const reply = await as.invokeFunctionWithOptions(name, request,
    new fc.InvokeFunctionHeaders({ commonHeaders, ...headers }), new RuntimeOptions({ connectTimeout: 60000, readTimeout: 60000 }));
  return { status: reply.statusCode, headers: reply.headers, text: await read(reply.body) };
}

// A plain request, as any HTTP client makes it. `host` overrides the Host header.
function fetchRaw(method, url, { headers = {}, body, host } = {}) {
  const target = new URL(url);
  return new Promise((resolve, reject) => {
    const request = http.request({ method, host: '127.0.0.1', port: target.port,
      path: target.pathname + target.search,
      headers: { host: host ?? target.host, ...headers } }, async (response) => {
      resolve({ status: response.statusCode, headers: response.headers, text: await read(response) });
    });
    request.on('error', reject);
    request.end(body);
  });
}

// A signed call of our own surface, through the SDK's own signer.
async function okibi(method, pathname, { query = {}, body, as = client } = {}) {
  const params = new core.$OpenApiUtil.Params({ action: 'Okibi', version: '2023-03-30', protocol: 'HTTP',
    pathname: `/okibi/v1/${pathname}`, method, authType: 'AK', style: 'ROA', reqBodyType: 'json',
    bodyType: method === 'DELETE' ? 'none' : 'json' });
  const request = new core.$OpenApiUtil.OpenApiRequest({ query, body, headers: {} });
  return (await as.callApi(params, request, new RuntimeOptions({}))).body;
}

module.exports = { call, assert, client, clientWith, core, deploy, failsWith, fc, fetchRaw, invoke, okibi,
  read, remove, settled, update, waitFor };
