// The embedded store and the process that has it open: kill -9 loses nothing, and nobody else gets in while it lives.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { openEmbeddedStore } from '../../../manager/store/embedded/index.ts';
import type { Store } from '../../../manager/store/store.ts';
import { put, write } from '../../support/store-watch.ts';
import { until } from '../../support/until.ts';

const WRITER = fileURLToPath(new URL('../../support/embedded-writer.ts', import.meta.url));

describe('the process of an embedded store', function () {
  this.timeout(60_000);
  let directory: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'shoal-store-'));
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  });

  const openHere = (): Promise<Store> => openEmbeddedStore({ directory, clock: systemClock, log: silentLogger });

  const startWriter = (): { readonly lines: readonly string[]; kill(): Promise<void>; exited(): Promise<void> } => {
    const child = spawn(process.execPath, ['--import', 'tsx', WRITER, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const lines: string[] = [];
    let rest = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
    });
    const exit = once(child, 'close');
    return {
      lines,
      async kill() {
        child.kill('SIGKILL');
        await exit;
      },
      async exited() {
        await exit;
      },
    };
  };

  it('may be killed at any time: every acknowledged write is there, and revisions go on', async () => {
    const acknowledged = new Map<string, number>();
    for (let round = 0; round < 3; round++) {
      const writer = startWriter();
      await until(() => writer.lines.length > 300, 'it has written', 30_000);
      await writer.kill();
      for (const line of writer.lines.slice(1)) {
        const [key = '', revision = ''] = line.split(' ');
        acknowledged.set(key, Number(revision));
      }
    }
    const store = await openHere();
    const { items, revision } = await store.snapshot('');
    const found = new Map(items.map((item) => [item.key, item.modRevision]));
    for (const [key, at] of acknowledged) assert.equal(found.get(key), at, key);
    assert.equal(new Set(acknowledged.values()).size, acknowledged.size, 'no revision was given out twice');
    assert.ok((await write(store, put('next'))) > Math.max(revision, ...acknowledged.values()));
    await store.close();
  });

  it('keeps others out while it lives, and is taken over from when it was killed', async () => {
    const holder = startWriter();
    await until(() => holder.lines.length > 0, 'it is open', 30_000);
    assert.equal(holder.lines[0], 'open');
    await assert.rejects(openHere(), { code: 'failed_precondition', message: /in use by process \d+/ });
    await holder.kill();
    const store = await openHere();
    const second = startWriter();
    await second.exited();
    assert.match(second.lines[0] ?? '', new RegExp(`^refused failed_precondition .*in use by process ${process.pid}`));
    await store.close();
  });

  it('keeps a second store of the same process out, until the first is closed', async () => {
    const store = await openHere();
    await assert.rejects(openHere(), { code: 'failed_precondition' });
    await store.close();
    await (await openHere()).close();
  });

  it('does not take another process with the same number for the holder', async () => {
    const store = await openHere();
    const [name = ''] = (await readdir(directory)).filter((file) => file.startsWith('lock.'));
    const path = join(directory, name);
    const holder = JSON.parse(await readFile(path, 'utf8')) as { start: string };
    assert.notEqual(holder.start, '', 'this system tells when a process started');
    await store.close();
    // As if this process's number had belonged to a manager that was killed.
    await writeFile(path, JSON.stringify({ ...holder, start: `${holder.start}0`, released: false }));
    await (await openHere()).close();
  });

  it('takes over from a lock that was not written whole', async () => {
    await writeFile(join(directory, 'lock.7'), '{"pid":');
    const store = await openHere();
    await assert.rejects(openHere(), { code: 'failed_precondition' });
    await store.close();
  });

  it('wins alone when many reach for an abandoned directory', async () => {
    const results = await Promise.allSettled(Array.from({ length: 10 }, openHere));
    const open = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    assert.equal(open.length, 1);
    for (const store of open) await store.close();
  });
});
