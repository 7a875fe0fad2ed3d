import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { taskDigest } from '../../../manager/orchestrator/spec-rules.ts';
import { PortMode, PortProtocol, type PortSpec } from '../../../proto/index.ts';
import { httpPort, publish, specOf } from '../../support/service-specs.ts';

const UDP = { protocol: PortProtocol.UDP };
const HOST = { mode: PortMode.HOST };

function digest(...ports: readonly PortSpec[]): string {
  return taskDigest(specOf({ spec: { ports } }));
}

describe('a change of published ports', () => {
  const nothing: readonly (readonly [what: string, before: readonly PortSpec[], after: readonly PortSpec[]])[] = [
    ['another number', [publish(80, 3000)], [publish(81, 3000)]],
    ['other settings', [publish(80, 3000)], [publish(80, 3000, { ingress: httpPort(1, 1, '', '/', { idleTimeoutMs: 5 }).ingress })]],
    ['TCP read as HTTP', [publish(80, 3000)], [httpPort(80, 3000)]],
    ['another rule', [httpPort(80, 3000, 'a')], [httpPort(80, 3000, 'b', '/api')]],
    ['one more rule for the same target', [httpPort(80, 3000, 'a')], [httpPort(80, 3000, 'a'), httpPort(80, 3000, 'b')]],
  ];
  for (const [what, before, after] of nothing) {
    it(`restarts nothing: ${what}`, () => {
      assert.equal(digest(...before), digest(...after));
    });
  }

  const restarts: typeof nothing = [
    ['another target', [publish(80, 3000)], [publish(80, 3001)]],
    ['UDP in the place of TCP', [publish(80, 3000)], [publish(80, 3000, UDP)]],
    ['UDP besides TCP', [publish(80, 3000)], [publish(80, 3000), publish(80, 3000, UDP)]],
    ['another host port', [publish(80, 3000, HOST)], [publish(81, 3000, HOST)]],
    ['a host port instead of an ingress port', [publish(80, 3000)], [publish(80, 3000, HOST)]],
  ];
  for (const [what, before, after] of restarts) {
    it(`restarts the tasks: ${what}`, () => {
      assert.notEqual(digest(...before), digest(...after));
    });
  }
});
