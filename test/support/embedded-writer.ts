// A process of its own that opens the embedded store in the directory named as its argument and writes until it is killed.
// It prints "open", then a line "KEY REVISION" for each write that was acknowledged; or "refused CODE MESSAGE".
import { systemClock } from '../../lib/clock.ts';
import { ShoalError } from '../../lib/errors.ts';
import { silentLogger } from '../../lib/log.ts';
import { openEmbeddedStore } from '../../manager/store/embedded/index.ts';

const WRITERS = 4;
const directory = process.argv[2] ?? '';

try {
  const store = await openEmbeddedStore({ directory, clock: systemClock, log: silentLogger, snapshotAtBytes: 20_000 });
  process.stdout.write('open\n');
  await Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      for (let index = 0; ; index++) {
        const key = `${process.pid}/${writer}/${index}`;
        const { revision } = await store.commit({ compare: [], ops: [{ type: 'put', key, value: Buffer.alloc(100) }] });
        process.stdout.write(`${key} ${revision}\n`);
      }
    }),
  );
} catch (error) {
  const { code, message } = ShoalError.from(error);
  process.stdout.write(`refused ${code} ${message}\n`);
}
