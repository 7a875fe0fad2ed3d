// Brings a step of the protocol about, for a fault that waits for it: what happens by chance alone would meet some of them once in thousands of seeds.
import { randomInt, type Rng } from '../../../lib/rng.ts';
import { between, pick, pickOrNone } from '../core/random.ts';
import { isJob, type Truth } from '../truth/truth.ts';
import type { Wish } from './commands.ts';
import type { Step } from './coverage.ts';
import { leaderOf } from './fault.ts';

export interface ProvokeWorld {
  readonly truth: Truth;
  readonly rng: Rng;
  /** Has a user do something that brings it about. */
  readonly ask: (wish: Wish) => void;
}

interface Range {
  readonly least: number;
  readonly most: number;
}

/** Longer than a node may be silent before it is down, by most settings. */
const AWAY_MS: Range = { least: 8000, most: 12_000 };
/** So long that the leader may end meanwhile, and another one lead. */
const MASS_LOSS_MS: Range = { least: 16_000, most: 24_000 };
const DOWN_MS: Range = { least: 300, most: 3000 };

export function provoke(step: Step, { truth, rng, ask }: ProvokeWorld): void {
  const { world } = truth;
  /** What happened to a host, and until when. */
  const strike = (host: string, range: Range, end: () => void): void => {
    truth.disturbed([host]);
    truth.later(between(rng, range.least, range.most), () => {
      truth.disturbed([host]);
      end();
    });
  };
  switch (step) {
    case 'rest':
      return;
    case 'election': {
      const manager = leaderOf({ truth, rng });
      manager.process?.kill('so that another one leads');
      strike(manager.name, DOWN_MS, () => manager.start());
      return;
    }
    case 'registration': {
      const node = pick(rng, world.nodes);
      node.agentProcess?.kill('so that it registers anew');
      strike(node.name, DOWN_MS, () => node.startAgent());
      return;
    }
    case 'node away': {
      const node = pick(rng, world.nodes);
      node.powerOff();
      strike(node.name, AWAY_MS, () => node.powerOn());
      return;
    }
    case 'mass loss': {
      const [first, ...others] = world.nodes;
      if (first === undefined || others.some((node) => truth.isAway(truth.nodeOf(node.name)))) return;
      for (const node of others) {
        const heals = world.managers.flatMap(({ name }) => [world.network.cut(node.name, name), world.network.cut(name, node.name)]);
        strike(node.name, MASS_LOSS_MS, () => {
          for (const heal of heals) heal();
        });
      }
      return;
    }
    case 'restart delay': {
      const running = [...truth.containers()].filter((one) => one.state === 'running' && !isJob(truth.specOf(one)));
      const container = pickOrNone(rng, running);
      if (container === undefined) return;
      truth.nodeOf(container.host).node.engine.kill(container.taskId, { exitCode: 1 + randomInt(rng, 2), reason: '' });
      return;
    }
    case 'job run':
      ask('run job');
      return;
    case 'rebalance':
      ask('rebalance');
      return;
    case 'placement':
    case 'start':
    case 'drain':
    case 'stop':
    case 'update':
      ask('roll');
  }
}
