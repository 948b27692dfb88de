'use strict';
// Provision, scaling and concurrency configurations: what is kept, what may not be had.
const test = require('node:test');
const { assert, client, deploy, failsWith, fc, fetchRaw, invoke, okibi, remove, waitFor } = require('./client');

const name = 'scale';
test.before(() => deploy(name, { idleTimeout: 300 }));
test.after(async () => {
  await client.deleteProvisionConfig(name, new fc.DeleteProvisionConfigRequest({}));
  await remove(name);
});

const put = (fields, qualifier) => client.putProvisionConfig(name, new fc.PutProvisionConfigRequest({
  qualifier, body: new fc.PutProvisionConfigInput(fields) }));
const get = async (qualifier) => (await client.getProvisionConfig(name,
  new fc.GetProvisionConfigRequest({ qualifier }))).body;
const live = async () => (await okibi('GET', 'instances', { query: { functionName: name } })).instances
  .filter((i) => i.state === 'ready' || i.state === 'frozen');
const caughtUp = (target) => waitFor(async () => {
  const config = await get();
  return config.current === target && config.target === target && config;
}, `current is ${target}`);

test('instances are kept, and requests go to them first', async () => {
  const answer = (await put({ defaultTarget: 2 })).body;
  assert.deepEqual([answer.defaultTarget, answer.target, answer.alwaysAllocateCPU], [2, 2, true]);
  const config = await caughtUp(2);
  assert.match(config.functionArn, /functions\/scale\/LATEST$/);
  const before = (await live()).map((i) => i.instanceId).sort();
  const reply = await invoke(name, 'x');
  assert.ok(before.includes(reply.headers['x-fc-instance-id']));
  assert.deepEqual((await live()).map((i) => i.instanceId).sort(), before);
  const listed = (await client.listProvisionConfigs(new fc.ListProvisionConfigsRequest({ functionName: name }))).body;
  assert.equal(listed.provisionConfigs.length, 1);
  assert.equal(listed.provisionConfigs[0].current, 2);
});

test('fewer are asked for, fewer are there; frozen where allowed', async () => {
  await put({ defaultTarget: 1, alwaysAllocateCPU: false });
  await caughtUp(1);
  await waitFor(async () => (await live()).length === 1, 'one instance');
  await waitFor(async () => (await live())[0].state === 'frozen', 'it is frozen');
  assert.equal((await invoke(name, 'woken')).text, 'woken');
});

test('a function that keeps instances is not deleted, unless it is disabled', async () => {
  await failsWith(client.deleteFunction(name), 'ProvisionConfigExist', 409);
  await failsWith(client.putScalingConfig(name, new fc.PutScalingConfigRequest({
    body: new fc.PutScalingConfigInput({ minInstances: 1 }) })), 'ProvisionConfigExist', 409);
});

test('schedules and zones', async () => {
  await put({ defaultTarget: 0, scheduledActions: [new fc.ScheduledAction({ name: 'always',
    startTime: '2020-01-01T00:00:00Z', endTime: '2099-01-01T00:00:00Z', target: 2, timeZone: 'Asia/Tokyo',
    scheduleExpression: 'cron(0 0 * * * *)' })] });
  const config = await caughtUp(2);
  assert.equal(config.defaultTarget, 0);
  assert.equal(config.scheduledActions[0].scheduleExpression, 'cron(0 0 * * * *)');
  const refused = (fields, field) => failsWith(put(fields), 'InvalidArgument', 400, field);
  const action = (fields) => ({ scheduledActions: [new fc.ScheduledAction({ name: 'n', target: 1,
    scheduleExpression: 'cron(0 0 9 * * *)', ...fields })] });
  await refused({ defaultTarget: 10001 }, /defaultTarget: 10001 is not in 0–10000/);
  await refused(action({ scheduleExpression: 'daily' }), /scheduledActions\[0\]\.scheduleExpression/);
  await refused(action({ scheduleExpression: 'cron(0 0 25 * * *)' }), /hour: '25'/);
  await refused(action({ timeZone: 'Mars/Base' }), /timeZone.*Mars\/Base/);
  await refused(action({ startTime: 'noon' }), /startTime/);
  const tracking = (metricType) => ({ targetTrackingPolicies: [new fc.TargetTrackingPolicy({ name: 'n', metricType,
    metricTarget: 0.6, minCapacity: 1, maxCapacity: 2 })] });
  await refused(tracking('GPUSmUtilization'),
    /metricType: 'GPUSmUtilization' is not measured here; use ProvisionedConcurrencyUtilization, CPUUtilization, GPUMem/);
  await failsWith(put(tracking('CPUUtilization')), 'InstanceMetricsRequired', 400, /enableInstanceMetrics/);
  await refused({ targetTrackingPolicies: [new fc.TargetTrackingPolicy({ name: 'n',
    metricType: 'ProvisionedConcurrencyUtilization', metricTarget: 2, minCapacity: 1, maxCapacity: 2 })] }, /metricTarget/);
  await failsWith(put({ defaultTarget: 301 }), 'LimitExceededError', 400, /'instances' of 300/);
  await failsWith(put({ defaultTarget: 1 }, 'nobody'), 'AliasNotFound', 404);
  await client.deleteProvisionConfig(name, new fc.DeleteProvisionConfigRequest({}));
  await caughtUp(0);
});

test('a target that follows the CPU: measured, and the number grows', async () => {
  await deploy('scale-cpu', { cpu: 0.25, logConfig: new fc.LogConfig({ enableInstanceMetrics: true }) });
  try {
    const config = { targetTrackingPolicies: [new fc.TargetTrackingPolicy({ name: 'n', metricType: 'CPUUtilization',
      metricTarget: 0.05, minCapacity: 1, maxCapacity: 2 })] };
    const keep = (fields) => client.putProvisionConfig('scale-cpu', new fc.PutProvisionConfigRequest({
      body: new fc.PutProvisionConfigInput(fields) }));
    await failsWith(keep({ targetTrackingPolicies: [new fc.TargetTrackingPolicy({ ...config.targetTrackingPolicies[0],
      metricType: 'GPUMemUtilization' })] }), 'InvalidArgument', 400, /no gpuConfig/);
    assert.equal((await keep(config)).body.target, 1);
    const { body } = await client.createTrigger('scale-cpu', new fc.CreateTriggerRequest({ body: new fc.CreateTriggerInput({
      triggerName: 't', triggerType: 'http', triggerConfig: JSON.stringify({ authType: 'anonymous', methods: ['GET'] }) }) }));
    let busy = true;
    const load = (async () => { while (busy) await fetchRaw('GET', `${body.httpTrigger.urlInternet}cpu?ms=300`); })();
    try {
      await waitFor(async () => (await client.getProvisionConfig('scale-cpu', new fc.GetProvisionConfigRequest({})))
        .body.target === 2, 'two are wanted', 90);
    } finally {
      busy = false;
      await load;
    }
  } finally {
    await client.deleteProvisionConfig('scale-cpu', new fc.DeleteProvisionConfigRequest({}));
    await remove('scale-cpu');
  }
});

test('currentError in words', async () => {
  await deploy('scale-bad', { instanceLifecycleConfig: new fc.InstanceLifecycleConfig({
    initializer: new fc.LifecycleHook({ command: ['/none'], timeout: 5 }) }) });
  try {
    await client.putProvisionConfig('scale-bad', new fc.PutProvisionConfigRequest({
      body: new fc.PutProvisionConfigInput({ defaultTarget: 1 }) }));
    const error = await waitFor(async () => (await client.getProvisionConfig('scale-bad',
      new fc.GetProvisionConfigRequest({}))).body.currentError, 'an error');
    assert.match(error, /initializer/);
  } finally {
    await client.disableFunctionInvocation('scale-bad', new fc.DisableFunctionInvocationRequest({}));
    await client.deleteFunction('scale-bad');
  }
});

test('scaling config: the same instances in other words', async () => {
  const putScaling = (fields) => client.putScalingConfig(name, new fc.PutScalingConfigRequest({
    body: new fc.PutScalingConfigInput(fields) }));
  const getScaling = async () => (await client.getScalingConfig(name, new fc.GetScalingConfigRequest({}))).body;
  assert.equal((await getScaling()).minInstances, 0);
  assert.equal((await putScaling({ minInstances: 1 })).body.minInstances, 1);
  await waitFor(async () => (await getScaling()).currentInstances === 1, 'one instance');
  assert.equal((await getScaling()).targetInstances, 1);
  assert.equal((await get()).target, 0);
  await failsWith(put({ defaultTarget: 1 }), 'ResidentScalingConfigExists', 409);
  await failsWith(putScaling({ residentPoolId: 'p' }), 'InvalidArgument', 400, /residentPoolId/);
  assert.equal((await client.listScalingConfigs(new fc.ListScalingConfigsRequest({}))).body.scalingConfigs.length, 1);
  await client.deleteScalingConfig(name, new fc.DeleteScalingConfigRequest({}));
  await waitFor(async () => (await getScaling()).currentInstances === 0, 'none');
});

test('concurrency config caps, and 0 forbids', async () => {
  const cap = (reservedConcurrency) => client.putConcurrencyConfig(name, new fc.PutConcurrencyConfigRequest({
    body: new fc.PutConcurrencyInput({ reservedConcurrency }) }));
  assert.equal((await cap(1)).body.reservedConcurrency, 1);
  await Promise.all(Array.from({ length: 5 }, (_, i) => invoke(name, `${i}`)));
  assert.equal((await live()).length, 1);
  await cap(0);
  await failsWith(invoke(name, 'x', { within: 1000 }), 'ResourceExhausted', 429, /concurrency configuration is 0/);
  assert.equal((await client.getConcurrencyConfig(name)).body.reservedConcurrency, 0);
  assert.equal((await client.listConcurrencyConfigs(new fc.ListConcurrencyConfigsRequest({}))).body.configs.length, 1);
  await failsWith(cap(271), 'LimitExceededError', 400, /270/);
  await failsWith(cap(-1), 'InvalidArgument', 400, /reservedConcurrency: -1/);
  await client.deleteConcurrencyConfig(name);
  await failsWith(client.getConcurrencyConfig(name), 'OnDemandConfigNotFound', 404);
  await failsWith(client.deleteConcurrencyConfig(name), 'OnDemandConfigNotFound', 404);
  assert.equal((await invoke(name, 'free')).text, 'free');
});

test('disableOndemand: only what is kept serves', async () => {
  await client.updateFunction(name, new fc.UpdateFunctionRequest({
    body: new fc.UpdateFunctionInput({ disableOndemand: true }) }));
  await waitFor(async () => (await client.getFunction(name, new fc.GetFunctionRequest({})))
    .body.lastUpdateStatus === 'Successful', 'updated');
  await failsWith(invoke(name, 'x', { within: 1000 }), 'ResourceExhausted', 429, /disableOndemand/);
  await put({ defaultTarget: 1 });
  await caughtUp(1);
  assert.equal((await invoke(name, 'kept')).text, 'kept');
});

test('instances: list with filters', async () => {
  const list = async (q) => (await client.listInstances(name, new fc.ListInstancesRequest(q))).body.instances;
  const [one] = await list({});
  assert.equal(one.status, 'Running');
  assert.equal(one.versionId, '0');
  assert.ok(one.createdTimeMs > Date.now() - 3600e3);
  assert.equal((await list({ instanceStatus: ['Running'], qualifier: 'LATEST' })).length, 1);
  assert.equal((await list({ instanceIds: [one.instanceId] })).length, 1);
  assert.equal((await list({ instanceIds: ['c-none'] })).length, 0);
  assert.ok((await list({ endTimeMs: one.createdTimeMs - 1 })).every((i) => i.instanceId !== one.instanceId));
  await failsWith(list({ qualifier: '7' }), 'VersionNotFound', 404);
});

test('tags', async () => {
  const arn = (await client.getFunction(name, new fc.GetFunctionRequest({}))).body.functionArn;
  const tag = (body) => client.tagResources(new fc.TagResourcesRequest({ body: new fc.TagResourcesInput(body) }));
  await tag({ resourceId: [arn], resourceType: 'FUNCTION', tag: [new fc.Tag({ key: 'a', value: '1' }),
    new fc.Tag({ key: 'b', value: '2' })] });
  const list = async (q) => (await client.listTagResources(new fc.ListTagResourcesRequest(q))).body;
  const all = await list({ resourceId: [arn], resourceType: 'function' });
  assert.deepEqual(all.tagResources.map((t) => [t.tagKey, t.tagValue]), [['a', '1'], ['b', '2']]);
  const first = await list({ resourceId: [arn], resourceType: 'function', limit: 1 });
  assert.equal((await list({ resourceId: [arn], resourceType: 'function', limit: 1,
    nextToken: first.nextToken })).tagResources[0].tagKey, 'b');
  await client.untagResources(new fc.UntagResourcesRequest({ resourceId: [arn], resourceType: 'FUNCTION', tagKey: ['a'] }));
  assert.equal((await list({ resourceId: [arn], resourceType: 'function' })).tagResources.length, 1);
  await client.untagResources(new fc.UntagResourcesRequest({ resourceId: [arn], resourceType: 'FUNCTION', all: true }));
  assert.equal((await list({ resourceId: [arn], resourceType: 'function' })).tagResources.length, 0);
  await failsWith(tag({ resourceId: [arn + 'x'], resourceType: 'FUNCTION', tag: [new fc.Tag({ key: 'a', value: '1' })] }),
    'FunctionNotFound', 404);
  await failsWith(tag({ resourceId: [arn], resourceType: 'layer', tag: [new fc.Tag({ key: 'a', value: '1' })] }),
    'InvalidArgument', 400, /ResourceType/);
});

test('asynchronous invocation: configuration', async () => {
  const put = (fields) => client.putAsyncInvokeConfig(name, new fc.PutAsyncInvokeConfigRequest({
    body: new fc.PutAsyncInvokeConfigInput(fields) }));
  const made = (await put({ maxAsyncRetryAttempts: 1, maxAsyncEventAgeInSeconds: 3600 })).body;
  assert.deepEqual([made.maxAsyncRetryAttempts, made.maxAsyncEventAgeInSeconds], [1, 3600]);
  const got = (await client.getAsyncInvokeConfig(name, new fc.GetAsyncInvokeConfigRequest({}))).body;
  assert.equal(got.createdTime, made.createdTime);
  assert.equal((await client.listAsyncInvokeConfigs(new fc.ListAsyncInvokeConfigsRequest({}))).body.configs.length, 1);
  await failsWith(put({ maxAsyncRetryAttempts: 9 }), 'InvalidArgument', 400, /9 is not in 0–8/);
  await failsWith(put({ maxAsyncEventAgeInSeconds: 0 }), 'InvalidArgument', 400, /1–604800/);
  await failsWith(put({ asyncTask: true }), 'InvalidArgument', 400, /asyncTask/);
  await failsWith(put({ destinationConfig: new fc.DestinationConfig({ onFailure: new fc.Destination({ destination: 'acs:fc:x' }) }) }),
    'InvalidArgument', 400, /destinationConfig\.onFailure/);
  await failsWith(client.listAsyncTasks(name, new fc.ListAsyncTasksRequest({})), 'PathNotSupported', 400, /AsyncTask/);
  await failsWith(client.getAsyncTask(name, 't', new fc.GetAsyncTaskRequest({})), 'PathNotSupported', 400, /GetAsyncTask/);
  await failsWith(client.stopAsyncTask(name, 't', new fc.StopAsyncTaskRequest({})), 'PathNotSupported', 400, /StopAsyncTask/);
  await client.deleteAsyncInvokeConfig(name, new fc.DeleteAsyncInvokeConfigRequest({}));
  await failsWith(client.deleteAsyncInvokeConfig(name, new fc.DeleteAsyncInvokeConfigRequest({})),
    'AsyncConfigNotExists', 404);
});
