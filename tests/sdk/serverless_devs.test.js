'use strict';
// The calls that Serverless Devs' fc3 component makes, in its order and with its bodies: deploy, deploy
// again, invoke, remove. Raw calls of the SDK, because the component sends fields that the typed model drops.
const test = require('node:test');
const { assert, call, invoke, remove, waitFor } = require('./client');

const name = 'devs';
test.after(() => remove(name));

// What the component does with an answer of 400 or more: it looks at the code.
const codeOf = async (promise) => promise.then(() => 'none', (e) => e.code);

const wanted = {
  functionName: name, runtime: 'custom-container', handler: 'index.handler', description: 'hello',
  cpu: 0.5, memorySize: 512, diskSize: 512, timeout: 60, instanceConcurrency: 2,
  gpuConfig: { gpuType: 'fc.gpu.tesla.1', gpuMemorySize: 1024 },
  // The component adds accelerationType itself.
  customContainerConfig: { image: process.env.OKIBI_IMAGE, port: 9000, accelerationType: 'Default' },
  // What the yaml does not name.
  vpcConfig: { vpcId: '', vSwitchIds: [], securityGroupId: '' },
  nasConfig: { userId: 0, groupId: 0, mountPoints: [] },
  ossMountConfig: { mountPoints: [] },
  logConfig: { project: '', logstore: '', enableRequestMetrics: false, enableInstanceMetrics: false,
    logBeginRule: 'None' },
  tracingConfig: {}, layers: [], environmentVariables: {}, instanceIsolationMode: 'SHARE',
  sessionAffinity: 'NONE',
};
const trigger = { triggerName: 'http', triggerType: 'http', qualifier: 'LATEST',
  triggerConfig: JSON.stringify({ authType: 'anonymous', methods: ['GET', 'POST'],
    disableURLInternet: false }) };
const at = { query: { qualifier: 'LATEST' } };

const settle = () => waitFor(async () => {
  const now = await call('GET', `/functions/${name}`);
  assert.notEqual(now.state, 'Failed', now.stateReason);
  return now.state !== 'Pending' && now.lastUpdateStatus !== 'InProgress' && now;
}, 'the function settles');
const reach = (target) => waitFor(async () => {
  const now = await call('GET', `/functions/${name}/provision-config`, at);
  assert.ok(!now.currentError, now.currentError);
  return now.current === target && now.target === target;
}, `provision ${target}`);

test('deploy of a function that is not there', async () => {
  assert.equal(await codeOf(call('GET', `/functions/${name}`)), 'FunctionNotFound');
  for (const [path, options] of [[`/functions/${name}/triggers/http`], [`/functions/${name}/async-invoke-config`, at],
    [`/functions/${name}/vpc-bindings`], [`/functions/${name}/provision-config`, at], [`/functions/${name}/scaling-config`, at],
    [`/functions/${name}/concurrency`]]) {
    assert.match(await codeOf(call('GET', path, options)),
      /^FunctionNotFound$/, path);
  }
  const made = await call('POST', '/functions', { body: wanted });
  assert.equal(made.functionName, name);
  const active = await settle();
  assert.equal(active.state, 'Active');
  assert.equal(active.gpuConfig.gpuMemorySize, 1024);
  assert.equal(await codeOf(call('GET', `/functions/${name}/triggers/http`)), 'TriggerNotFound');
  const address = (await call('POST', `/functions/${name}/triggers`, { body: trigger })).httpTrigger.urlInternet;
  assert.match(address, /^http:\/\//);
  assert.equal(await codeOf(call('GET', `/functions/${name}/async-invoke-config`, at)), 'AsyncConfigNotExists');
  await call('PUT', `/functions/${name}/async-invoke-config`, { ...at,
    body: { maxAsyncEventAgeInSeconds: 3600, maxAsyncRetryAttempts: 1, asyncTask: false } });
  await call('PUT', `/functions/${name}/provision-config`, { ...at, body: { defaultTarget: 1,
    alwaysAllocateCPU: false, alwaysAllocateGPU: false, scheduledActions: [], targetTrackingPolicies: [] } });
  await reach(1);
  assert.equal(await codeOf(call('GET', `/functions/${name}/concurrency`)), 'OnDemandConfigNotFound');
  await call('PUT', `/functions/${name}/concurrency`, { body: { reservedConcurrency: 4 } });
  assert.equal((await call('GET', `/functions/${name}/concurrency`)).reservedConcurrency, 4);
  assert.deepEqual((await call('GET', `/functions/${name}/vpc-bindings`)).vpcIds ?? [], []);
});

test('deploy again changes what the yaml changes', async () => {
  await call('GET', `/functions/${name}`);
  const { functionName, ...body } = { ...wanted, timeout: 90, environmentVariables: { A: 'b' } };
  await call('PUT', `/functions/${functionName}`, { body });
  const active = await settle();
  assert.equal(active.timeout, 90);
  assert.deepEqual({ ...active.environmentVariables }, { A: 'b' });
  assert.equal((await call('GET', `/functions/${name}/triggers/http`)).triggerName, 'http');
  const { triggerName, triggerType, ...change } = trigger;
  await call('PUT', `/functions/${name}/triggers/${triggerName}`, { body: { ...change, description: 'door' } });
  assert.equal((await call('GET', `/functions/${name}/triggers/http`)).description, 'door');
  await call('PUT', `/functions/${name}/provision-config`, { ...at, body: { defaultTarget: 0 } });
  await reach(0);
});

test('invoke, with the log tail', async () => {
  const reply = await invoke(name, 'hello', { qualifier: 'LATEST', headers: {
    xFcInvocationType: 'Sync', xFcLogType: 'Tail' } });
  assert.equal(reply.text, 'hello');
  assert.ok(reply.headers['x-fc-instance-id'] && reply.headers['x-fc-request-id']);
  assert.equal(reply.headers['x-fc-error-type'], undefined);
});

test('plan: what is read back is what the yaml says', async () => {
  const remote = await call('GET', `/functions/${name}`);
  for (const key of ['runtime', 'handler', 'description', 'cpu', 'memorySize', 'diskSize', 'instanceConcurrency',
    'gpuConfig', 'logConfig', 'instanceIsolationMode', 'sessionAffinity']) {
    assert.deepEqual(remote[key], wanted[key], key);
  }
  const { accelerationInfo, resolvedImageUri, ...container } = remote.customContainerConfig;
  assert.deepEqual(container, wanted.customContainerConfig);
  assert.ok(accelerationInfo && resolvedImageUri);
});

test('version, alias, provision, scaling, concurrency, instance list, as the sub-commands call them', async () => {
  const version = await call('POST', `/functions/${name}/versions`, { body: { description: '' } });
  assert.equal((await call('GET', `/functions/${name}/versions`, { query: { limit: 1 } })).versions[0].versionId, version.versionId);
  const alias = { aliasName: 'blue', versionId: version.versionId, description: '' };
  assert.equal(await codeOf(call('GET', `/functions/${name}/aliases/blue`)), 'AliasNotFound');
  await call('POST', `/functions/${name}/aliases`, { body: alias });
  const { aliasName, ...change } = { ...alias, additionalVersionWeight: { [version.versionId]: 0.2 } };
  assert.equal(await codeOf(call('PUT', `/functions/${name}/aliases/${aliasName}`, { body: change })), 'InvalidArgument');
  await call('PUT', `/functions/${name}/aliases/blue`, { body: { versionId: version.versionId, description: 'changed' } });
  assert.equal((await call('GET', `/functions/${name}/aliases/blue`)).description, 'changed');

  const blue = { query: { qualifier: 'blue' } };
  const put = await call('PUT', `/functions/${name}/provision-config`, { ...blue, body: { target: 1, alwaysAllocateCPU: false,
    alwaysAllocateGPU: false, scheduledActions: [], targetTrackingPolicies: [] } });
  assert.equal(put.target, 1);
  await waitFor(async () => (await call('GET', `/functions/${name}/provision-config`, blue)).current === 1, 'one is there');
  const instances = (await call('GET', `/functions/${name}/instances`, { query: { qualifier: 'blue', withAllActive: true } })).instances;
  assert.equal(instances.length, 1);
  assert.deepEqual([instances[0].status, instances[0].versionId], ['Running', version.versionId]);
  const listed = (await call('GET', '/provision-configs', { query: { functionName: name, limit: 100 } })).provisionConfigs;
  assert.ok(listed.some((c) => c.functionArn.endsWith(`/${name}/blue`)));
  await call('DELETE', `/functions/${name}/provision-config`, blue);
  await waitFor(async () => (await call('GET', `/functions/${name}/provision-config`, blue)).current === 0, 'none is there');

  await call('PUT', `/functions/${name}/scaling-config`, { ...blue, body: { minInstances: 1 } });
  await waitFor(async () => (await call('GET', `/functions/${name}/scaling-config`, blue)).currentInstances === 1, 'one is there');
  await call('DELETE', `/functions/${name}/scaling-config`, blue);
  await waitFor(async () => !(await call('GET', `/functions/${name}/scaling-config`, blue)).currentInstances, 'none is there');
  assert.equal((await call('GET', `/functions/${name}/concurrency`)).reservedConcurrency, 4);
  await call('DELETE', `/functions/${name}/aliases/blue`);
  await call('DELETE', `/functions/${name}/versions/${version.versionId}`);
});

test('remove: what it lists, and the order in which it deletes', async () => {
  const of = { query: { functionName: name, limit: 100 } };
  assert.deepEqual((await call('GET', '/scaling-configs', of)).scalingConfigs, []);
  assert.equal((await call('GET', '/async-invoke-configs', of)).configs.length, 1);
  assert.deepEqual((await call('GET', `/functions/${name}/aliases`)).aliases, []);
  assert.deepEqual((await call('GET', `/functions/${name}/versions`)).versions, []);
  await call('DELETE', `/functions/${name}/triggers/http`);
  await call('DELETE', `/functions/${name}/concurrency`);
  await call('DELETE', `/functions/${name}/provision-config`, at);
  await call('DELETE', `/functions/${name}`);
  assert.equal(await codeOf(call('GET', `/functions/${name}`)), 'FunctionNotFound');
});
