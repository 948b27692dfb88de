'use strict';
// What is written is read back the same, member by member, as a client that keeps a state compares it; what is
// left out has Function Compute's default; what is deleted is 404.
const test = require('node:test');
const { assert, call: plain, deploy, failsWith, fc, remove, settled, waitFor } = require('./client');

const call = (method, path, options) => plain(method, path, path === '/tags-v2' ? { ...options, bodyType: 'none' } : options);

const name = 'raw';
test.after(() => remove(name));

// Bodies as they are on the wire: the typed models drop what they do not know.

// Every member of `written`, at any depth, is in `read` with the same value.
function same(written, read, at = '') {
  if (written !== null && typeof written === 'object' && !Array.isArray(written)) {
    for (const [key, value] of Object.entries(written)) same(value, read?.[key], `${at}.${key}`);
  } else if (Array.isArray(written)) {
    assert.equal(read?.length, written.length, `${at} has as many entries`);
    written.forEach((value, i) => same(value, read[i], `${at}[${i}]`));
  } else {
    assert.deepEqual(read, written, at);
  }
}

const whole = {
  functionName: name, runtime: 'custom-container', handler: 'not-used', description: 'd', cpu: 0.35, memorySize: 512,
  diskSize: 512, timeout: 61, instanceConcurrency: 3, idleTimeout: 77, disableOndemand: false, internetAccess: true,
  gpuConfig: { gpuType: 'fc.gpu.tesla.1', gpuMemorySize: 2048 },
  customContainerConfig: { image: process.env.OKIBI_IMAGE, port: 9000, accelerationType: 'Default',
    entrypoint: ['/echo'], command: ['--a', 'b c'], healthCheckConfig: { httpGetUrl: '/health',
      initialDelaySeconds: 1, periodSeconds: 5, timeoutSeconds: 2, failureThreshold: 4, successThreshold: 2 } },
  instanceLifecycleConfig: { initializer: { handler: 'init', timeout: 60 }, preStop: { handler: 'stop', timeout: 9 } },
  environmentVariables: { A: '1', B_2: 'zwei ☕' },
  logConfig: { project: 'p', logstore: 'l', enableRequestMetrics: true, enableInstanceMetrics: true,
    logBeginRule: 'DefaultRegex' },
  role: 'acs:ram::1:role/r', resourceGroupId: 'rg-1', instanceIsolationMode: 'SHARE', sessionAffinity: 'NONE',
  tracingConfig: { type: '', params: {} }, layers: [],
  nasConfig: { userId: 0, groupId: 0, mountPoints: [] }, ossMountConfig: { mountPoints: [] },
  vpcConfig: { vpcId: '', vSwitchIds: [], securityGroupId: '' },
  tags: [{ Key: 'team', Value: 'ai' }, { Key: 'z', Value: '' }],
};

test('a function, every field', async () => {
  same(whole, await call('POST', '/functions', { body: whole }));
  await settled(name);
  same(whole, await call('GET', `/functions/${name}`));
  const listed = (await call('GET', '/functions', { query: { prefix: name } })).functions[0];
  same({ functionName: name, memorySize: 512, gpuConfig: whole.gpuConfig, tags: whole.tags }, listed);
  const changes = { description: '', timeout: 62, environmentVariables: { C: '3' }, customContainerConfig: {
    ...whole.customContainerConfig, accelerationType: 'None', command: [] },
  instanceLifecycleConfig: { initializer: { handler: '', command: ['/echo', '--version'], timeout: 5 } } };
  await call('PUT', `/functions/${name}`, { body: changes });
  const after = await settled(name).then(() => call('GET', `/functions/${name}`));
  assert.equal(after.customContainerConfig.command, undefined);
  delete changes.customContainerConfig.command;
  same(changes, after);
  same({ cpu: 0.35, role: whole.role, tags: whole.tags }, after);
});

test('a function, what is left out', async () => {
  const least = { functionName: 'raw-least', runtime: 'custom-container', handler: 'h', cpu: 0.25, memorySize: 256,
    customContainerConfig: { image: process.env.OKIBI_IMAGE, port: 0, healthCheckConfig: { httpGetUrl: '/health',
      periodSeconds: 0, timeoutSeconds: 0, failureThreshold: 0, successThreshold: 0 } },
    instanceLifecycleConfig: { initializer: { handler: 'init', timeout: 0 }, preStop: { handler: '', timeout: 0 } } };
  try {
    const made = await call('POST', '/functions', { body: least });
    same({ instanceConcurrency: 1, timeout: 3, diskSize: 512, internetAccess: true, disableOndemand: false,
      description: '', environmentVariables: {}, tags: [] }, made);
    same({ port: 9000, healthCheckConfig: { initialDelaySeconds: 0, periodSeconds: 3, timeoutSeconds: 1,
      failureThreshold: 3, successThreshold: 1 } }, made.customContainerConfig);
    assert.equal(made.customContainerConfig.accelerationType, undefined);
    assert.deepEqual(made.instanceLifecycleConfig, { initializer: { handler: 'init', timeout: 3 } });
    // Terraform makes a function anew when a read shows a keep time that its configuration does not have.
    for (const key of ['idleTimeout', 'gpuConfig', 'logConfig', 'invocationRestriction']) assert.equal(made[key], undefined, key);
    await failsWith(call('PUT', '/functions/raw-least', { body: { customContainerConfig: {
      image: process.env.OKIBI_IMAGE, accelerationType: 'Fast' } } }), 'InvalidArgument', 400, /accelerationType: 'Fast'/);
  } finally {
    await remove('raw-least');
  }
});

test('triggers', async () => {
  const written = { triggerName: 'h', triggerType: 'http', qualifier: 'LATEST', description: 'd',
    invocationRole: 'acs:ram::1:role/t', sourceArn: 'acs:x:::y',
    triggerConfig: '{"methods":["GET","POST"],"authType":"anonymous","disableURLInternet":false}' };
  const path = `/functions/${name}/triggers`;
  same(written, await call('POST', path, { body: written }));
  same(written, await call('GET', `${path}/h`));
  await call('PUT', `${path}/h`, { body: { invocationRole: 'acs:ram::1:role/u' } });
  same({ ...written, invocationRole: 'acs:ram::1:role/u' }, (await call('GET', path)).triggers[0]);
  await call('DELETE', `${path}/h`);
  await failsWith(call('GET', `${path}/h`), 'TriggerNotFound', 404);
  await failsWith(call('DELETE', `${path}/h`), 'TriggerNotFound', 404);
});

test('provision and scaling configurations', async () => {
  const at = { query: { qualifier: 'LATEST' } };
  const span = { startTime: '2023-08-15T02:00:00', endTime: '2033-08-15T02:00:00', timeZone: 'Asia/Shanghai' };
  const written = { defaultTarget: 0, alwaysAllocateCPU: false, alwaysAllocateGPU: true, scheduledActions: [
    { name: 's', ...span, target: 0, scheduleExpression: 'cron(0 0 4 * * *)' },
    { name: 'utc', startTime: '2023-08-15T02:00:00Z', endTime: '2023-08-16T02:00:00Z', timeZone: '', target: 1,
      scheduleExpression: 'at(2023-08-15T03:00:00)' }],
  targetTrackingPolicies: [{ name: 't', startTime: '', endTime: '', timeZone: '', metricTarget: 0.123456,
    metricType: 'ProvisionedConcurrencyUtilization', minCapacity: 0, maxCapacity: 1 }] };
  const path = `/functions/${name}/provision-config`;
  same(written, await call('PUT', path, { ...at, body: written }));
  same(written, await call('GET', path, at));
  same(written, (await call('GET', '/provision-configs', { query: { functionName: name } })).provisionConfigs[0]);
  await failsWith(call('PUT', path, { ...at, body: { scheduledActions: [written.scheduledActions[0],
    written.scheduledActions[0]] } }), 'InvalidArgument', 400, /the name 's' is there twice/);
  same(written, await call('GET', path, at));
  await call('DELETE', path, at);
  same({ target: 0, defaultTarget: 0, scheduledActions: [], targetTrackingPolicies: [] }, await call('GET', path, at));
  // The old name of defaultTarget.
  same({ target: 0, defaultTarget: 0 }, await call('PUT', path, { ...at, body: { target: 0 } }));
  await call('DELETE', path, at);

  const scaling = { minInstances: 0, enableOnDemandScaling: true, enableMixMode: false, requestDispatchPolicy: 'Balanced',
    scheduledPolicies: [{ name: 's', ...span, target: 0, scheduleExpression: 'cron(0 0 4 * * *)' }],
    horizontalScalingPolicies: [{ name: 'h', ...span, metricTarget: 0.5, minInstances: 0, maxInstances: 1,
      metricType: 'ProvisionedConcurrencyUtilization' }] };
  const other = `/functions/${name}/scaling-config`;
  same(scaling, await call('PUT', other, { ...at, body: scaling }));
  same(scaling, await call('GET', other, at));
  await failsWith(call('PUT', other, { ...at, body: { enableOnDemandScaling: false } }), 'InvalidArgument', 400,
    /enableOnDemandScaling/);
  await call('DELETE', other, at);
  same({ minInstances: 0, scheduledPolicies: [] }, await call('GET', other, at));
});

test('concurrency and asynchronous configurations', async () => {
  const cap = `/functions/${name}/concurrency`;
  same({ reservedConcurrency: 7 }, await call('PUT', cap, { body: { reservedConcurrency: 7 } }));
  same({ reservedConcurrency: 7 }, await call('GET', cap));
  await call('DELETE', cap);
  await failsWith(call('GET', cap), 'OnDemandConfigNotFound', 404);
  const path = `/functions/${name}/async-invoke-config`, at = { query: { qualifier: 'LATEST' } };
  const written = { maxAsyncRetryAttempts: 0, maxAsyncEventAgeInSeconds: 604800, asyncTask: false };
  same(written, await call('PUT', path, { ...at, body: { ...written, destinationConfig: { onSuccess: { destination: '' },
    onFailure: { destination: '' } } } }));
  same(written, await call('GET', path, at));
  await call('DELETE', path, at);
  await failsWith(call('GET', path, at), 'AsyncConfigNotExists', 404);
});

test('versions and aliases; what is configured for one goes with it', async () => {
  const version = await call('POST', `/functions/${name}/versions`, { body: { description: 'first' } });
  same({ ...version }, (await call('GET', `/functions/${name}/versions`)).versions[0]);
  const path = `/functions/${name}/aliases`;
  const written = { aliasName: 'prod', versionId: version.versionId, description: 'd', additionalVersionWeight: {} };
  same(written, await call('POST', path, { body: written }));
  const second = await call('POST', `/functions/${name}/versions`, { body: {} });
  const change = { versionId: version.versionId, additionalVersionWeight: { [second.versionId]: 0.123456 } };
  same(change, await call('PUT', `${path}/prod`, { body: change }));
  same({ ...written, ...change }, await call('GET', `${path}/prod`));
  same({ ...written, ...change }, (await call('GET', path)).aliases[0]);
  // A name for a name is none for a version.
  await failsWith(call('POST', path, { body: { aliasName: 'two', versionId: 'prod' } }), 'VersionNotFound', 404);

  const at = { query: { qualifier: 'prod' } };
  await call('PUT', `/functions/${name}/async-invoke-config`, { ...at, body: { maxAsyncRetryAttempts: 1 } });
  await call('PUT', `/functions/${name}/provision-config`, { ...at, body: { defaultTarget: 1 } });
  await failsWith(call('DELETE', `${path}/prod`), 'ProvisionConfigExist', 409, /alias 'prod'.*keeps 1/);
  await call('PUT', `/functions/${name}/provision-config`, { ...at, body: { defaultTarget: 0, scheduledActions: [{
    name: 's', target: 0, scheduleExpression: 'cron(0 0 4 * * *)' }] } });
  await call('DELETE', `${path}/prod`);
  await failsWith(call('GET', `${path}/prod`), 'AliasNotFound', 404);
  await call('POST', path, { body: written });
  await failsWith(call('GET', `/functions/${name}/async-invoke-config`, at), 'AsyncConfigNotExists', 404);
  same({ target: 0, scheduledActions: [] }, await call('GET', `/functions/${name}/provision-config`, at));
  await call('DELETE', `${path}/prod`);
  await call('DELETE', `/functions/${name}/versions/${version.versionId}`);
  await failsWith(call('GET', `/functions/${name}`, { query: { qualifier: version.versionId } }), 'VersionNotFound', 404);
});

test('tags, with an ARN of the region that the client believes in', async () => {
  const { functionArn } = await call('GET', `/functions/${name}`);
  const account = functionArn.split(':')[3];
  const arn = `acs:fc:cn-hangzhou:${account}:functions/${name}`;
  await call('POST', '/tags-v2', { body: { ResourceId: [arn], ResourceType: 'FUNCTION', Tag: [{ Key: 'k', Value: 'v' }] } });
  const { tags } = await call('GET', `/functions/${name}`);
  assert.deepEqual(tags.find((t) => t.Key === 'k'), { Key: 'k', Value: 'v' });
  for (const wrong of [arn.replace(account, '9'), arn.replace(':fc:', ':oss:'), `${arn}:x`, arn.replace('functions/', '')]) {
    await failsWith(call('POST', '/tags-v2', { body: { ResourceId: [wrong], ResourceType: 'FUNCTION',
      Tag: [{ Key: 'k', Value: 'w' }] } }), 'FunctionNotFound', 404);
  }
});

test('a deleted function is gone with all that was around it', async () => {
  await call('PUT', `/functions/${name}/concurrency`, { body: { reservedConcurrency: 1 } });
  await call('DELETE', `/functions/${name}`);
  for (const path of ['', '/concurrency', '/provision-config', '/triggers', '/versions', '/aliases', '/instances']) {
    await failsWith(call('GET', `/functions/${name}${path}`), 'FunctionNotFound', 404);
  }
  for (const [path, key] of [['provision-configs', 'provisionConfigs'], ['scaling-configs', 'scalingConfigs'],
    ['concurrency-configs', 'configs'], ['async-invoke-configs', 'configs']]) {
    assert.deepEqual((await call('GET', `/${path}`, { query: { functionName: name } }))[key], []);
  }
  await deploy(name);
  await failsWith(call('GET', `/functions/${name}/concurrency`), 'OnDemandConfigNotFound', 404);
  await waitFor(async () => (await call('GET', `/functions/${name}/versions`)).versions.length === 0, 'no versions');
});
