import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { openStore } from '../../../manager/store/index.ts';
import type { Store } from '../../../manager/store/store.ts';
import { storeConformance } from './conformance.ts';

describe('the embedded store', () => {
  let parent = '';
  let directory = '';

  before(async () => {
    parent = await mkdtemp(join(tmpdir(), 'shoal-store-'));
  });

  after(async () => {
    await rm(parent, { recursive: true, force: true });
  });

  const openHere = (): Promise<Store> => openStore({ driver: 'embedded', directory, clock: systemClock, log: silentLogger });

  storeConformance(() => ({
    open: async () => {
      directory = await mkdtemp(join(parent, 'store-'));
      return openHere();
    },
    again: async (store) => {
      await store.close();
      return openHere();
    },
    leaseMs: 1500,
  }));
});
