'use strict';
// Functions: every field of the model, partial updates, lists, refusals by name.
const test = require('node:test');
const { assert, client, deploy, failsWith, fc, okibi, remove, update } = require('./client');

const name = 'fn-whole';
test.after(() => Promise.all(['fn-whole', 'fn-s', 'fn-tag-1', 'fn-tag-2', 'fn-tag-3'].map(remove)));
const get = async (n, qualifier) => (await client.getFunction(n, new fc.GetFunctionRequest({ qualifier }))).body;

test('every field comes back', async () => {
  const made = await deploy(name, {
    description: 'all of it ☕', cpu: 0.5, memorySize: 512, diskSize: 512, instanceConcurrency: 4,
    timeout: 60, idleTimeout: 300, disableOndemand: false, internetAccess: true,
    environmentVariables: { MODEL: 'resnet50' },
    gpuConfig: new fc.GPUConfig({ gpuType: 'fc.gpu.tesla.1', gpuMemorySize: 1024 }),
    customContainerConfig: new fc.CustomContainerConfig({ image: process.env.OKIBI_IMAGE, port: 9000,
      entrypoint: ['/echo'], command: ['--x'],
      healthCheckConfig: new fc.CustomHealthCheckConfig({ httpGetUrl: '/health', periodSeconds: 3 }),
      registryConfig: new fc.RegistryConfig({ authConfig: new fc.RegistryAuthConfig({
        userName: 'u', password: 'secret' }) }) }),
    instanceLifecycleConfig: new fc.InstanceLifecycleConfig({
      initializer: new fc.LifecycleHook({ handler: 'init', timeout: 60 }),
      preStop: new fc.LifecycleHook({ handler: 'stop', timeout: 10 }) }),
    logConfig: new fc.LogConfig({ project: 'p', logstore: 'l', enableRequestMetrics: true }),
    role: 'acs:ram::1:role/any', tags: [new fc.Tag({ key: 'team', value: 'ai' })],
    tracingConfig: new fc.TracingConfig({}), resourceGroupId: 'rg-1',
  });
  const want = { functionName: name, handler: 'h', runtime: 'custom-container', description: 'all of it ☕',
    cpu: 0.5, memorySize: 512, diskSize: 512, instanceConcurrency: 4, timeout: 60, idleTimeout: 300,
    disableOndemand: false, internetAccess: true, role: 'acs:ram::1:role/any', state: 'Active',
    lastUpdateStatus: 'Successful', resourceGroupId: 'rg-1' };
  for (const [key, value] of Object.entries(want)) assert.deepEqual(made[key], value, key);
  assert.deepEqual({ ...made.environmentVariables }, { MODEL: 'resnet50' });
  assert.equal(made.gpuConfig.gpuMemorySize, 1024);
  assert.equal(made.instanceLifecycleConfig.initializer.timeout, 60);
  assert.equal(made.instanceLifecycleConfig.preStop.handler, 'stop');
  assert.equal(made.logConfig.project, 'p');
  assert.deepEqual([made.tags[0].key, made.tags[0].value], ['team', 'ai']);
  const container = made.customContainerConfig;
  assert.deepEqual([container.port, container.entrypoint, container.command], [9000, ['/echo'], ['--x']]);
  assert.equal(container.healthCheckConfig.httpGetUrl, '/health');
  assert.equal(container.accelerationInfo.status, 'Ready');
  assert.match(container.resolvedImageUri, /@sha256:[0-9a-f]{64}$/);
  assert.equal(container.registryConfig.authConfig.userName, 'u');
  assert.ok(!JSON.stringify(made).includes('secret'));
  assert.match(made.functionArn, /^acs:fc:[^:]+:\d+:functions\/fn-whole$/);
  assert.match(made.createdTime, /^\d{4}-\d\d-\d\dT/);
});

test('an update changes what it names and nothing else', async () => {
  const before = await get(name);
  const after = await update(name, { timeout: 40 });
  assert.equal(after.timeout, 40);
  for (const key of ['cpu', 'memorySize', 'description', 'idleTimeout', 'instanceConcurrency', 'role']) {
    assert.deepEqual(after[key], before[key], key);
  }
  assert.equal(after.gpuConfig.gpuMemorySize, 1024);
  const off = await update(name, { instanceLifecycleConfig: new fc.InstanceLifecycleConfig({
    initializer: new fc.LifecycleHook({ handler: '', command: [] }) }) });
  assert.equal(off.instanceLifecycleConfig.initializer, undefined);
  assert.equal(off.instanceLifecycleConfig.preStop.handler, 'stop');
});

test('the empty objects that s sends are "not set"', async () => {
  const made = await deploy('fn-s', {
    vpcConfig: new fc.VPCConfig({ vpcId: '', vSwitchIds: [], securityGroupId: '' }),
    nasConfig: new fc.NASConfig({ userId: 0, groupId: 0, mountPoints: [] }),
    ossMountConfig: new fc.OSSMountConfig({ mountPoints: [] }),
    logConfig: new fc.LogConfig({ project: '', logstore: '', enableRequestMetrics: false,
      enableInstanceMetrics: false, logBeginRule: 'None' }),
    tracingConfig: new fc.TracingConfig({}), layers: [], environmentVariables: {},
    instanceIsolationMode: 'SHARE', sessionAffinity: 'NONE' });
  assert.equal(made.state, 'Active');
});

test('what cannot act is refused by name', async () => {
  const change = (fields) => client.updateFunction(name, new fc.UpdateFunctionRequest({
    body: new fc.UpdateFunctionInput(fields) }));
  const refused = (fields, field) => failsWith(change(fields), 'InvalidArgument', 400, field);
  await refused({ vpcConfig: new fc.VPCConfig({ vpcId: 'vpc-1' }) }, /vpcConfig\.vpcId/);
  await refused({ nasConfig: new fc.NASConfig({ mountPoints: [new fc.NASMountConfig({
    serverAddr: 'a', mountDir: '/mnt' })] }) }, /nasConfig\.mountPoints/);
  await refused({ ossMountConfig: new fc.OSSMountConfig({ mountPoints: [new fc.OSSMountPoint({
    bucketName: 'b' })] }) }, /ossMountConfig\.mountPoints/);
  await refused({ layers: ['acs:fc:r:1:layers/l/versions/1'] }, /layers/);
  await refused({ code: new fc.InputCodeLocation({ zipFile: 'x' }) }, /code/);
  await refused({ customDNS: new fc.CustomDNS({ nameServers: ['1.1.1.1'] }) }, /customDNS/);
  await refused({ sessionAffinity: 'MCP_SSE' }, /sessionAffinity/);
  await refused({ instanceIsolationMode: 'SESSION_EXCLUSIVE' }, /instanceIsolationMode/);
  await refused({ runtime: 'python3.10' }, /runtime/);
  await refused({ instanceConcurrency: 201 }, /instanceConcurrency: 201 is not in 1–200/);
  await refused({ timeout: 0 }, /timeout: 0 s is not in 1–86400 s/);
  await refused({ environmentVariables: { FC_X: '1' } }, /environmentVariables.*FC_X/);
  await refused({ gpuConfig: new fc.GPUConfig({ gpuType: 'fc.gpu.none', gpuMemorySize: 1024 }) },
    /gpuConfig\.gpuType.*fc\.gpu\.tesla\.1/);
  await refused({ gpuConfig: new fc.GPUConfig({ gpuType: 'fc.gpu.tesla.1', gpuMemorySize: 1000 }) },
    /gpuConfig\.gpuMemorySize/);
  assert.equal((await get(name)).timeout, 40);
});

test('create: names, required fields, twice', async () => {
  const create = (fields) => client.createFunction(new fc.CreateFunctionRequest({
    body: new fc.CreateFunctionInput(fields) }));
  const base = { runtime: 'custom-container', handler: 'h',
    customContainerConfig: new fc.CustomContainerConfig({ image: process.env.OKIBI_IMAGE }) };
  await failsWith(create({ ...base, functionName: '1x' }), 'InvalidArgument', 400, /functionName: '1x'/);
  await failsWith(create({ ...base, functionName: 'x'.repeat(65) }), 'InvalidArgument', 400, /1–64/);
  await failsWith(create({ functionName: 'fn-x' }), 'InvalidArgument', 400, /runtime: is required/);
  await failsWith(create({ ...base, functionName: name }), 'FunctionAlreadyExists', 409);
  await failsWith(client.updateFunction('none', new fc.UpdateFunctionRequest({
    body: new fc.UpdateFunctionInput({ timeout: 3 }) })), 'FunctionNotFound', 404);
});

test('list: prefix, filters, tags, pages', async () => {
  for (const i of [1, 2, 3]) {
    await deploy(`fn-tag-${i}`, { tags: [new fc.Tag({ key: 'n', value: String(i % 2) })] });
  }
  const list = async (q) => (await client.listFunctions(new fc.ListFunctionsRequest(q))).body;
  const names = async (q) => (await list(q)).functions.map((f) => f.functionName);
  assert.deepEqual(await names({ prefix: 'fn-tag-' }), ['fn-tag-1', 'fn-tag-2', 'fn-tag-3']);
  assert.deepEqual(await names({ prefix: 'fn-', gpuType: 'fc.gpu.tesla.1' }), [name]);
  assert.deepEqual(await names({ tags: [new fc.Tag({ key: 'n', value: '1' })] }), ['fn-tag-1', 'fn-tag-3']);
  assert.deepEqual(await names({ prefix: 'fn-', fcVersion: 'v2' }), []);
  assert.deepEqual(await names({ prefix: '*' }), []);
  const first = await list({ prefix: 'fn-tag-', limit: 2 });
  assert.equal(first.functions.length, 2);
  const rest = await list({ prefix: 'fn-tag-', limit: 2, nextToken: first.nextToken });
  assert.deepEqual(rest.functions.map((f) => f.functionName), ['fn-tag-3']);
  assert.ok(!rest.nextToken);
  assert.equal(rest.functions[0].state, undefined);
  await failsWith(list({ limit: 101 }), 'InvalidArgument', 400, /limit: '101' is not in 1–100/);
});

test('what clients read when nothing is set', async () => {
  await failsWith(client.getConcurrencyConfig('fn-s'), 'OnDemandConfigNotFound', 404);
  await failsWith(client.getAsyncInvokeConfig('fn-s', new fc.GetAsyncInvokeConfigRequest({})),
    'AsyncConfigNotExists', 404);
  const none = await client.getProvisionConfig('fn-s', new fc.GetProvisionConfigRequest({}));
  assert.deepEqual([none.body.target, none.body.current], [0, 0]);
  assert.deepEqual((await client.listVpcBindings('fn-s')).body.vpcIds, []);
  await failsWith(client.getFunctionCode('fn-s', new fc.GetFunctionCodeRequest({})), 'PathNotSupported', 400);
  assert.match(JSON.stringify(await okibi('GET', 'info')), /accountId/);
});

test('delete', async () => {
  await client.deleteFunction('fn-s');
  await failsWith(get('fn-s'), 'FunctionNotFound', 404);
  await failsWith(client.deleteFunction('fn-s'), 'FunctionNotFound', 404);
});
