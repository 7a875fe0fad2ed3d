import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEtcd, type TestEtcd } from '../../support/etcd.ts';
import { type ManagerProcess, type ManagerProcessOptions, runShoal, startManagerProcess } from '../../support/manager-process.ts';
import { requirement } from '../../support/requirements.ts';
import { startReplica } from '../../support/sockets.ts';
import { until } from '../../support/until.ts';

describe('starting a manager', () => {
  const managers: ManagerProcess[] = [];
  async function start(options?: ManagerProcessOptions): Promise<ManagerProcess> {
    const manager = await startManagerProcess(options);
    managers.push(manager);
    return manager;
  }
  afterEach(async () => {
    await Promise.all(managers.splice(0).map((manager) => manager.remove()));
  });

  it('says when it is ready, then answers, and ends with 0 when it is told to', async () => {
    const manager = await start();
    await manager.untilReady();
    assert.equal((await manager.shoal('node', 'ls')).code, 0);
    manager.signal('SIGTERM');
    assert.equal(await manager.untilExit(), 0);
    assert.deepEqual(
      manager.lines().filter(({ level }) => level === 'error' || level === 'warn'),
      [],
    );
  });

  it('with a port that is taken ends at once, and says which and what to do', async () => {
    const holder = await startReplica(() => undefined);
    const manager = await start({ listen: `127.0.0.1:${holder.port}` });
    assert.equal(await manager.untilExit(), 5);
    assert.match(manager.output(), new RegExp(`cannot listen on 127\\.0\\.0\\.1:${holder.port}: something else listens there already`));
    assert.doesNotMatch(manager.output(), /\bat .*\.js:/, 'no stack');
    await holder.stop();
    const again = await start({ dataDir: manager.dataDir });
    await again.untilReady();
  });

  it('with a health port that is taken names the flag', async () => {
    const holder = await startReplica(() => undefined);
    const manager = await start({ args: ['--health-addr', `127.0.0.1:${holder.port}`] });
    assert.equal(await manager.untilExit(), 5);
    assert.match(manager.output(), /choose another with --health-addr/);
    await holder.stop();
  });

  it('on the folder of another manager is refused, and names it; the other goes on', async () => {
    const first = await start();
    await first.untilReady();
    const second = await start({ dataDir: first.dataDir });
    assert.equal(await second.untilExit(), 1);
    assert.match(second.output(), new RegExp(`a manager \\(pid ${first.pid}\\) already runs on ${first.dataDir}.*--data-dir`));
    assert.equal((await first.shoal('service', 'ls')).code, 0);
    first.signal('SIGKILL');
    await first.untilExit();
    const heir = await start({ dataDir: first.dataDir });
    await heir.untilReady();
  });

  it('on an address that others reach is refused with 7 in plain words, unless it is told that this is meant', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'shoal-manager-'));
    for (const listen of ['0.0.0.0:7420', '10.1.2.3:7420', '[::]:7420', 'manager.example:7420']) {
      const args = ['manager', '--data-dir', dataDir, '--listen', listen, '--advertise-addr', '10.1.2.3:7420', '--health-addr', 'none'];
      const { code, stderr } = await runShoal(args);
      assert.equal(code, 7, listen);
      assert.match(stderr, /can be reached from other hosts.*not authenticated.*--insecure/s);
    }
    rmSync(dataDir, { recursive: true });
    const open = await start({ args: ['--listen', '0.0.0.0:0', '--advertise-addr', '127.0.0.1:1', '--insecure'] });
    await open.untilReady();
  });

  it('on all addresses wants to be told which one others shall dial', async () => {
    const { code, stderr } = await runShoal(['manager', '--listen', '0.0.0.0:7420', '--insecure', '--health-addr', 'none']);
    assert.equal(code, 2);
    assert.match(stderr, /--advertise-addr: needed with --listen 0\.0\.0\.0:7420/);
  });

  describe('on etcd', () => {
    let etcd: TestEtcd;
    before(async function () {
      requirement(this, 'etcd');
      this.timeout(30_000);
      etcd = await startEtcd();
    });
    after(() => etcd.stop());

    it('that does not answer waits for it and says so, then works', async () => {
      await etcd.kill();
      const manager = await start({ etcdUrl: etcd.url });
      await until(async () => /waiting for etcd at http:.*: /.test((await manager.readyz())?.body ?? ''), 'it says why it waits');
      assert.equal((await manager.readyz())?.status, 503);
      assert.equal((await fetch(`${manager.healthUrl}/livez`)).status, 200);
      assert.equal((await manager.shoal('service', 'ls')).code, 5);
      await etcd.restart();
      await manager.untilReady();
      assert.equal((await manager.shoal('service', 'ls')).code, 0);
      await etcd.kill();
      await until(async () => (await manager.readyz())?.body === 'the store is unreachable\n', 'it says that etcd is gone', 30_000);
      assert.equal((await manager.shoal('service', 'ls')).code, 0, 'what it knows it still tells');
      await etcd.restart();
      await manager.untilReady();
    });

    it('that does not answer can be told to stop', async () => {
      await etcd.kill();
      const manager = await start({ etcdUrl: etcd.url });
      await until(async () => (await manager.readyz())?.status === 503, 'it waits');
      manager.signal('SIGTERM');
      assert.equal(await manager.untilExit(5000), 0);
      await etcd.restart();
    });
  });
});
