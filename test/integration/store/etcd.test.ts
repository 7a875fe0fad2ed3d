import { systemClock } from '../../../lib/clock.ts';
import { silentLogger } from '../../../lib/log.ts';
import { systemRng } from '../../../lib/rng.ts';
import { openStore } from '../../../manager/store/index.ts';
import type { Store } from '../../../manager/store/store.ts';
import { startEtcd, type TestEtcd } from '../../support/etcd.ts';
import { requirement } from '../../support/requirements.ts';
import { storeConformance } from './conformance.ts';

describe('the etcd store', function () {
  this.timeout(30_000);
  let etcd: TestEtcd | undefined;
  let number = 0;

  before(async function () {
    requirement(this, 'etcd');
    etcd = await startEtcd();
  });

  after(async () => {
    await etcd?.stop();
  });

  const openHere = (): Promise<Store> =>
    openStore({
      driver: 'etcd',
      endpoints: [etcd?.url ?? ''],
      prefix: `/conformance-${number}/`,
      clock: systemClock,
      rng: systemRng,
      log: silentLogger,
    });

  storeConformance(() => ({
    open: () => {
      number += 1;
      return openHere();
    },
    again: async (store) => {
      await store.close();
      return openHere();
    },
    leaseMs: 2000,
  }));
});
