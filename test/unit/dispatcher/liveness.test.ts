import assert from 'node:assert/strict';
import { startSteadyTime } from '../../../lib/steady-time.ts';
import { Liveness } from '../../../manager/dispatcher/liveness.ts';
import { MeshWatch } from '../../../manager/dispatcher/mesh-watch.ts';
import { manualClock } from '../../support/manual-clock.ts';

describe('liveness', () => {
  it('names each silent node once, in the order of their last heartbeat', () => {
    let nowMs = 0;
    const liveness = new Liveness(
      () => nowMs,
      () => 5000,
    );
    liveness.heard('a');
    liveness.heard('b');
    nowMs = 1000;
    liveness.heard('a');
    nowMs = 4999;
    assert.deepEqual(liveness.takeSilent(), []);
    nowMs = 5000;
    assert.deepEqual(liveness.takeSilent(), ['b']);
    assert.equal(liveness.fresh('b'), false);
    assert.equal(liveness.fresh('a'), true);
    nowMs = 6000;
    assert.deepEqual(liveness.takeSilent(), ['a']);
    assert.deepEqual(liveness.takeSilent(), []);
    liveness.heard('b');
    assert.equal(liveness.fresh('b'), true);
  });

  it('does not take the own stall for silence', () => {
    let behindMs = 0;
    const real = manualClock();
    // A stall: the clock goes on, timers do not run.
    const clock = { ...real, nowMs: () => real.nowMs() + behindMs };
    const judged: string[] = [];
    const liveness = new Liveness(
      () => time.nowMs(),
      () => 5000,
    );
    const stalls: boolean[] = [];
    const time = startSteadyTime({
      clock,
      tickMs: 200,
      stallMs: 100,
      onTick: (stalled) => {
        stalls.push(stalled);
        if (!stalled) judged.push(...liveness.takeSilent());
      },
    });
    liveness.heard('a');
    real.advance(1000);
    behindMs = 60_000;
    real.advance(200);
    assert.equal(stalls.at(-1), true);
    real.advance(3400);
    assert.deepEqual(judged, []);
    real.advance(1000);
    assert.deepEqual(judged, ['a']);
    time.stop();
  });

  it('has a time that never goes backwards over a stall', () => {
    const real = manualClock();
    let behindMs = 0;
    const clock = { ...real, nowMs: () => real.nowMs() + behindMs };
    const time = startSteadyTime({ clock, tickMs: 200, stallMs: 100, onTick: () => undefined });
    let before = time.nowMs();
    for (const [advanceMs, stallMs] of [
      [150, 0],
      [60, 5000],
      [10, 0],
      [400, 30],
    ] as const) {
      behindMs += stallMs;
      assert.ok(time.nowMs() >= before);
      before = time.nowMs();
      real.advance(advanceMs);
      assert.ok(time.nowMs() >= before);
      before = time.nowMs();
    }
    time.stop();
  });
});

describe('mesh watch', () => {
  const watch = (): MeshWatch => new MeshWatch({ ackMs: 5000, restartMs: 15_000 });

  it('asks for a restart when a table stays unacknowledged, and not again at once', () => {
    const mesh = watch();
    mesh.sent(10, 0);
    assert.equal(mesh.restartDue(4999), false);
    assert.equal(mesh.restartDue(5000), true);
    assert.equal(mesh.restartDue(6000), false);
    assert.equal(mesh.restartDue(20_000), true);
  });

  it('is content with a mesh that is behind but keeps up', () => {
    const mesh = watch();
    mesh.sent(10, 0);
    for (let i = 1; i <= 10; i++) {
      mesh.sent(10 + i, i * 1000);
      assert.equal(mesh.reported(9 + i, true, i * 1000 + 500), true);
      assert.equal(mesh.restartDue(i * 1000 + 999), false);
    }
  });

  it('counts from the beginning of the drain for a table that nobody waited for before', () => {
    const mesh = watch();
    mesh.sent(10, 0);
    mesh.waitFromNow(60_000);
    assert.equal(mesh.restartDue(64_000), false);
    assert.equal(mesh.restartDue(65_000), true);
  });

  it('leaves a mesh whose process is away to its agent, and says so after a while', () => {
    const mesh = watch();
    mesh.sent(10, 0);
    assert.equal(mesh.reported(0, false, 100), false);
    assert.equal(mesh.restartDue(9000), false);
    assert.equal(mesh.isDown(5000), false);
    assert.equal(mesh.isDown(5100), true);
    assert.equal(mesh.reported(10, true, 6000), true);
    assert.equal(mesh.isDown(99_000), false);
  });
});
