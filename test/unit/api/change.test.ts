import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { ShoalError } from '../../../lib/errors.ts';
import { seededRng } from '../../../lib/rng.ts';
import { systemClock } from '../../../lib/clock.ts';
import { commitChange } from '../../../manager/api/change.ts';
import type { ApiContext } from '../../../manager/api/context.ts';
import { TransactionBuilder } from '../../../manager/state/index.ts';

/** A store in which others are faster `losses` times. */
function contended(losses: number): { readonly context: ApiContext; readonly commits: () => number } {
  let commits = 0;
  const context = {
    store: {
      reachable: () => true,
      commit: () => {
        commits++;
        return Promise.resolve({ committed: commits > losses, revision: commits });
      },
    },
    state: { revision: 0, applyOwn: () => undefined, reached: () => Promise.resolve() },
    clock: systemClock,
    rng: seededRng(1),
  } as unknown as ApiContext;
  return { context, commits: () => commits };
}

const WHAT = { object: 'service web', verb: 'created', look: 'shoal service inspect web' };

describe('a change of what many change', () => {
  const attempt = (): { builder: TransactionBuilder; result: string } => ({
    builder: new TransactionBuilder().overwrite('routeFloor', '', { objectId: '' }),
    result: 'done',
  });

  it('has its turn after many others', async () => {
    const { context, commits } = contended(15);
    assert.deepEqual(await commitChange(context, WHAT, attempt), { result: 'done', revision: 16 });
    assert.equal(commits(), 16);
  });

  it('is given up in words where it never has', async () => {
    const { context } = contended(Infinity);
    await assert.rejects(
      commitChange(context, WHAT, attempt),
      (error) =>
        error instanceof ShoalError && error.code === 'conflict' && error.message.includes('service web was not created: others keep'),
    );
  });
});
