'use strict';
// What kept instances cost: idle while they rest, active while they serve; the bill is the sum of both.
const test = require('node:test');
const { assert, client, deploy, fc, invoke, okibi, remove, waitFor } = require('./client');

const name = 'bill';
test.after(async () => {
  await client.deleteProvisionConfig(name, new fc.DeleteProvisionConfigRequest({}));
  await remove(name);
});
const usage = async () => (await okibi('GET', 'usage', { query: { functionName: name } })).total;
const keep = (fields) => client.putProvisionConfig(name, new fc.PutProvisionConfigRequest({
  body: new fc.PutProvisionConfigInput({ defaultTarget: 1, ...fields }) }));
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

test('a frozen instance is idle, a call is active, together they are the time it is there', async () => {
  await deploy(name, { gpuConfig: new fc.GPUConfig({ gpuType: 'fc.gpu.tesla.1', gpuMemorySize: 4096 }), idleTimeout: 60 });
  await keep({ alwaysAllocateGPU: false });
  await waitFor(async () => (await okibi('GET', 'instances', { query: { functionName: name } }))
    .instances.some((i) => i.state === 'frozen'), 'it rests');
  // Each reading is taken somewhere between sending and answering.
  const reading = async () => ({ sent: Date.now(), ...await usage(), answered: Date.now() });
  const before = await reading();
  await pause(2000);
  const after = await reading();
  assert.equal(after.activeMs, before.activeMs);
  const rested = after.idleMs - before.idleMs;
  assert.ok(rested > after.sent - before.answered - 1000 && rested < after.answered - before.sent + 1000,
    `${rested} of ${after.answered - before.sent} ms`);
  assert.equal((await invoke(name, 'x')).text, 'x');
  const called = await usage();
  assert.ok(called.activeMs > after.activeMs);
  const seconds = Math.ceil((called.activeMs - after.activeMs) / 1000);
  assert.equal(called.gpuGBSeconds, after.gpuGBSeconds + 4 * seconds, 'rounded up to whole seconds of 4 GB');
  const price = 0.000018, idle = 0.000004286;
  const cost = called.gpuGBSeconds * price + called.idleGpuGBSeconds * idle;
  assert.ok(Math.abs(called.cost - cost) < 3e-6, `${called.cost} is not ${cost}`);
});

test('an instance that is always allocated is active, and on the bill before it goes', async () => {
  await keep({});
  await waitFor(async () => {
    const { activeMs } = await usage();
    await pause(500);
    return activeMs > 10000;
  }, 'ten seconds are on the bill', 60);
});
