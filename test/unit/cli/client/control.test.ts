import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type Control, createControl } from '../../../../cli/client/control.ts';
import { systemClock } from '../../../../lib/clock.ts';
import { ShoalError } from '../../../../lib/errors.ts';
import { type FakeControl, startFakeControl } from '../../../support/fake-control.ts';

/** Nothing listens on it. */
const DEAD = '127.0.0.1:1';

describe('calls to the managers', () => {
  const stops: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  const fake = async (...[handlers]: Parameters<typeof startFakeControl>): Promise<FakeControl> => {
    const started = await startFakeControl(handlers);
    stops.push(() => started.stop());
    return started;
  };
  const control = (managers: readonly string[]): Control => {
    const made = createControl({ managers, clock: systemClock, signal: new AbortController().signal });
    stops.push(() => {
      made.close();
    });
    return made;
  };
  const list = (on: Control): Promise<unknown> => on.read((client, options) => client.listServices({ filters: [] }, options));
  const remove = (on: Control): Promise<unknown> =>
    on.write((client, options) => client.removeService({ ref: 'web', version: 0 }, options));

  it('go to the next manager where one is not there, and stay with the one that answered', async () => {
    const second = await fake({ listServices: () => Promise.resolve({ services: [], revision: 7 }) });
    const made = control([DEAD, second.address]);
    await list(made);
    await list(made);
    assert.deepEqual(second.calls, ['listServices', 'listServices']);
  });

  it('go to the next manager where one says that it cannot serve, writes too', async () => {
    const first = await fake({ removeService: () => Promise.reject(new ShoalError('unavailable', 'the store is away')) });
    const second = await fake({ removeService: () => Promise.resolve({ id: 'x', name: 'web', revision: 8 }) });
    await remove(control([first.address, second.address]));
    assert.deepEqual([first.calls, second.calls], [['removeService'], ['removeService']]);
  });

  it('carry the newest revision seen, so that one reads one’s own writes', async () => {
    const manager = await fake({
      removeService: () => Promise.resolve({ id: 'x', name: 'web', revision: 12 }),
      listServices: () => Promise.resolve({ services: [], revision: 9 }),
    });
    const made = control([manager.address]);
    await remove(made);
    await list(made);
    await list(made);
    assert.deepEqual(manager.revisions, ['', '12', '12']);
  });

  it('are not repeated where the answer is a refusal', async () => {
    const first = await fake({ listServices: () => Promise.reject(new ShoalError('permission_denied', 'not you')) });
    const second = await fake({});
    await assert.rejects(list(control([first.address, second.address])), { code: 'permission_denied', message: 'not you' });
    assert.deepEqual(second.calls, []);
  });

  it('say of a write whose answer is lost that it may have been done, and do not repeat it', async () => {
    const broken = await listenAndHangUp();
    stops.push(() => {
      broken.stop();
    });
    const second = await fake({ removeService: () => Promise.resolve({ id: 'x', name: 'web', revision: 8 }) });
    await assert.rejects(remove(control([broken.address, second.address])), {
      code: 'outcome_unknown',
      message: /may or may not have been made/,
    });
    assert.deepEqual(second.calls, []);
  });

  it('name every manager that was tried', async () => {
    const first = await fake({ listServices: () => Promise.reject(new ShoalError('unavailable', 'the store is away')) });
    await assert.rejects(list(control([DEAD, first.address])), {
      code: 'unavailable',
      message: `none of the managers can answer: ${DEAD} (connection refused), ${first.address} (the store is away)`,
    });
  });
});

/** Accepts connections, and ends each at the first bytes. */
async function listenAndHangUp(): Promise<{ readonly address: string; stop(): void }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('data', () => socket.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
