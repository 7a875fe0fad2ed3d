import assert from 'node:assert/strict';
import { seededRng } from '../../../lib/rng.ts';
import { Balancer, type Replica } from '../../../mesh/balance/balancer.ts';
import { type RouteTarget } from '../../../proto/index.ts';
import { manualClock } from '../../support/manual-clock.ts';
import { draining, targetOf } from '../../support/routes.ts';

function setUp(targets: readonly RouteTarget[], nodeId = '') {
  const clock = manualClock();
  const balancer = new Balancer({ clock, rng: seededRng(7) });
  balancer.update(targets, nodeId);
  const choose = (tried?: ReadonlySet<string>): Replica => {
    const replica = balancer.choose(tried);
    assert.ok(replica, 'a replica');
    return replica;
  };
  /** How often each of 1000 choices fell on whom; connections stay open where `keep`. */
  const spread = (keep = false): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (let i = 0; i < 1000; i++) {
      const replica = choose();
      if (keep) replica.open++;
      counts[replica.taskId] = (counts[replica.taskId] ?? 0) + 1;
    }
    return counts;
  };
  return { clock, balancer, choose, spread };
}

const THREE = [targetOf('a', 1), targetOf('b', 2), targetOf('c', 3)];

describe('balancer', () => {
  it('keeps the counts of a replica that drains, and gives it nothing', () => {
    const { balancer, choose } = setUp([targetOf('a', 1)]);
    const replica = choose();
    replica.open = 3;
    balancer.update([draining(targetOf('a', 1))], '');
    assert.equal(balancer.choose(), undefined);
    assert.deepEqual(balancer.replicas(), [replica]);
    balancer.update([targetOf('a', 1)], '');
    assert.equal(choose().open, 3);
  });

  it('spreads open connections evenly', () => {
    const counts = setUp(THREE).spread(true);
    for (const count of Object.values(counts)) assert.ok(Math.abs(count - 333) < 20, JSON.stringify(counts));
  });

  it('gives the loaded one of two nothing', () => {
    const { balancer, choose, spread } = setUp(THREE.slice(0, 2));
    choose().open = 1;
    assert.equal(Object.keys(spread()).length, 1);
    assert.equal(balancer.size, 2);
  });

  it('follows weights, idle or loaded', () => {
    const targets = [targetOf('a', 1, { weight: 3 }), targetOf('b', 2, { weight: 1 })];
    for (const keep of [false, true]) {
      const { a = 0, b = 0 } = setUp(targets).spread(keep);
      assert.ok(a / b > 2.3 && a / b < 4, `${a} to ${b}`);
    }
  });

  it('takes a weight that is not set as one', () => {
    const { a = 0, b = 0 } = setUp([targetOf('a', 1, { weight: 0 }), targetOf('b', 2)]).spread();
    assert.ok(a > 400 && b > 400, `${a} to ${b}`);
  });

  it('prefers the replica of its own node on a tie, and only then', () => {
    const { spread, choose } = setUp([targetOf('a', 1), targetOf('b', 2, { nodeId: 'here' })], 'here');
    assert.deepEqual(spread(), { b: 1000 });
    choose().open = 1;
    assert.deepEqual(spread(), { a: 1000 });
  });

  it('reaches a replica of its own node at its container, others and those without one at their node', () => {
    const container = { containerAddress: '172.17.0.2', containerPort: 8080 };
    const { balancer } = setUp(
      [
        targetOf('own', 1, { ...container, nodeId: 'here' }),
        targetOf('other', 2, { ...container, nodeId: 'there' }),
        targetOf('bare', 3, { nodeId: 'here' }),
      ],
      'here',
    );
    const places: Record<string, string> = {};
    for (let i = 0; i < 200; i++) {
      const replica = balancer.choose();
      if (replica === undefined) continue;
      places[replica.taskId] = `${replica.host}:${replica.port}`;
      replica.open++;
    }
    assert.deepEqual(places, { own: '172.17.0.2:8080', other: '127.0.0.1:2', bare: '127.0.0.1:3' });
  });

  it('gives draining replicas and those without an address nothing', () => {
    const { balancer } = setUp([
      draining(targetOf('a', 1)),
      targetOf('b', 0),
      targetOf('c', 3, { nodeAddress: '' }),
      targetOf('d', 70_000),
    ]);
    assert.equal(balancer.choose(), undefined);
    assert.equal(balancer.size, 0);
  });

  it('leaves out those that were tried', () => {
    const { balancer, choose } = setUp(THREE);
    assert.equal(choose(new Set(['a', 'c'])).taskId, 'b');
    assert.equal(balancer.choose(new Set(['a', 'b', 'c'])), undefined);
  });

  it('passes over a replica that failed twice in a row, for a time that grows, and forgives a success', () => {
    const { clock, balancer, choose, spread } = setUp(THREE.slice(0, 2));
    const a = choose(new Set(['b']));
    const outForMs = (): number => {
      let ms = 0;
      for (; ms < 100_000 && spread()['a'] === undefined; ms += 250) clock.advance(250);
      return ms;
    };
    balancer.failed(a);
    assert.ok((spread()['a'] ?? 0) > 0, 'one failure is forgiven');
    balancer.failed(a);
    const times = [outForMs()];
    for (let i = 0; i < 7; i++) {
      balancer.failed(a);
      times.push(outForMs());
    }
    assert.ok((times[0] ?? 0) >= 750 && (times[0] ?? 0) <= 1250, `first ${times[0]}`);
    assert.ok((times[1] ?? 0) > (times[0] ?? 0) && (times[2] ?? 0) > (times[1] ?? 0), times.join());
    assert.ok((times.at(-1) ?? 0) <= 30_250, times.join());
    balancer.succeeded(a);
    balancer.failed(a);
    assert.ok((spread()['a'] ?? 0) > 0);
  });

  it('counts a swarm of failures at once as one', () => {
    const { clock, balancer, choose, spread } = setUp(THREE.slice(0, 2));
    const a = choose(new Set(['b']));
    for (let i = 0; i < 100; i++) balancer.failed(a);
    clock.advance(1100);
    assert.ok((spread()['a'] ?? 0) > 0);
  });

  it('never passes over the last one', () => {
    const { balancer, choose } = setUp(THREE);
    for (const taskId of ['a', 'b', 'c']) {
      const replica = choose(new Set(['a', 'b', 'c'].filter((other) => other !== taskId)));
      for (let i = 0; i < 5; i++) balancer.failed(replica);
    }
    choose();
    assert.equal(choose(new Set(['a', 'b'])).taskId, 'c');
  });

  it('keeps counts and health of a replica that stays in the table', () => {
    const { balancer, choose, spread } = setUp(THREE.slice(0, 2));
    const a = choose(new Set(['b']));
    a.open = 5;
    balancer.update([targetOf('a', 1, { weight: 2 }), targetOf('b', 2), targetOf('c', 3)], '');
    assert.equal(choose(new Set(['b', 'c'])), a);
    assert.equal(spread()['a'], undefined);
  });

  describe('with canaries', () => {
    const canary = targetOf('new', 3, { canary: true });
    const targets = [targetOf('a', 1), targetOf('b', 2), canary];
    const share = (permille: number, of = targets) => {
      const { balancer, choose } = setUp([]);
      balancer.update(of, '', permille);
      return { balancer, choose, chosen: () => Array.from({ length: 1000 }, () => choose().taskId) };
    };

    it('gives them exactly their share, evenly spread', () => {
      for (const permille of [0, 1, 100, 250, 1000]) {
        const chosen = share(permille).chosen();
        assert.equal(chosen.filter((taskId) => taskId === 'new').length, permille);
        if (permille === 100) assert.equal(chosen.slice(0, 100).filter((taskId) => taskId === 'new').length, 10);
      }
    });

    it('gives the others what one kind cannot take', () => {
      assert.equal(share(100, [canary]).chosen()[0], 'new');
      assert.ok(!share(1000, targets.slice(0, 2)).chosen().includes('new'));
      const { balancer, choose } = share(1000);
      const failing = choose();
      balancer.failed(failing);
      balancer.failed(failing);
      assert.notEqual(choose().taskId, 'new');
    });

    it('tries another of the same kind first', () => {
      const { choose } = share(500);
      for (let i = 0; i < 20; i++) {
        assert.equal(choose(new Set(['a'])).taskId, 'b');
        assert.equal(choose(new Set(['a', 'b'])).taskId, 'new');
        assert.notEqual(choose(new Set(['new'])).taskId, 'new');
      }
    });
  });
});
