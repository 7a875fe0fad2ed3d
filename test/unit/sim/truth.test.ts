import assert from 'node:assert/strict';
import { DECIDE_MS } from '../../sim/truth/excuse.ts';
import { Truth } from '../../sim/truth/truth.ts';
import { World } from '../../sim/world.ts';

describe('the truth about a simulated node', () => {
  it('says that it was cut off while only a manager without the store answers it', async () => {
    const world = new World({ seed: 1, nodes: 1, keepLines: 0, verbose: false });
    const truth = new Truth(world);
    world.watchWith(truth, () => undefined);
    const runFor = async (ms: number): Promise<void> => {
      const untilMs = world.scheduler.nowMs + ms;
      while ((await world.scheduler.step(untilMs)) !== undefined);
    };
    world.start();
    await runFor(3000);
    const node = truth.nodeOf('n1');
    const manager = truth.managerHostOf(truth.nodeIdOf('n1') ?? '') ?? assert.fail('it has no manager');
    assert.ok(truth.nowMs - node.awayMs > 1000, 'it is in touch');
    const both = (one: string, other: string): readonly (() => void)[] => [world.network.cut(one, other), world.network.cut(other, one)];
    const others = world.managers.map(({ name }) => name).filter((name) => name !== manager);
    const cuts = [...both(manager, 'store'), ...others.flatMap((name) => both('n1', name))];
    await runFor(12_000);
    assert.equal(truth.isAway(node), false, 'its manager answers');
    assert.ok(truth.nowMs - node.awayMs < 1000, 'but nobody else hears of it');
    for (const heal of cuts) heal();
    await runFor(DECIDE_MS);
    assert.ok(truth.nowMs - node.awayMs > 1000, 'it is back');
    await world.end();
  });
});
