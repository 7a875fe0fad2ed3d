// One seed from start to end: the cluster comes up, users and faults have their time, everything is put right, and then it must come to rest and stay there.
import { randomInt } from '../../../lib/rng.ts';
import { between, forkRng } from '../core/random.ts';
import { delaysAreKept, slotsAreBounded } from '../invariants/slots.ts';
import { ordersAreFollowed, tablesAreKept } from '../invariants/agents.ts';
import { connectionsArriveAtTheirService, endsAreRoutedAround, stopsComeAfterDrains } from '../invariants/routes.ts';
import { specsAreKept } from '../invariants/specs.ts';
import { writersAreFenced } from '../invariants/fences.ts';
import { whatIsMissing } from '../truth/convergence.ts';
import { Truth } from '../truth/truth.ts';
import { World, type WorldWatch } from '../world.ts';
import { Coverage } from './coverage.ts';
import { strike, Traps } from './faults.ts';
import { User } from './user.ts';

export interface SeedOptions {
  readonly seed: number;
  readonly keepLines: number;
  readonly verbose: boolean;
}

export interface SeedResult {
  readonly seed: number;
  /** Undefined: all invariants held. */
  readonly violation: string | undefined;
  readonly lines: readonly string[];
  readonly digest: string;
  readonly coverage: Coverage;
  readonly steps: number;
  readonly virtualMs: number;
  readonly commands: number;
  readonly faults: number;
}

const CALM_START_MS = 3000;
const CHAOS_MS = 60_000;
/** From the last repair to rest: drains, slow stops, updates one by one, and the back-off of what failed before. */
const CONVERGE_MS = 240_000;
const STAY_MS = 12_000;
const COMMANDS = { least: 20, most: 30 };
const FAULTS = { least: 5, most: 14 };
/** Unanswered, every call, and with it every user's command, is over by then. */
const LOOK_MS = 250;

export async function runSeed(options: SeedOptions): Promise<SeedResult> {
  const { seed } = options;
  const rng = forkRng(seed, 'scenario');
  const traps = new Traps();
  const coverage = new Coverage();
  let truth: Truth | undefined = undefined;
  const told = (): Truth => {
    if (truth === undefined) throw new Error('the world began before its truth');
    return truth;
  };
  const watch: WorldWatch = {
    atPoint: (process, seam, step) => {
      traps.atPoint(process, seam, step);
    },
    died: (process, reason) => {
      world.trace.line(process.name, `DIED: ${reason}`);
      told().disturbed();
    },
    onCommit: (by, transaction) => told().commit(by, transaction),
    message: (_from, to, path, bytes) => {
      if (path === SESSION && bytes[0] === HEARTBEAT_ANSWER) told().heartbeatAnswered(to);
    },
    created: () => undefined,
    started: (container) => told().started(container),
    stopAsked: (container, by) => told().stopAsked(container, by),
    ended: (container, why) => told().ended(container, why),
    removed: () => undefined,
    written: (node, path, bytes) => told().written(node, path, bytes),
    served: (node, table) => told().served(node, table),
    connected: (node, port, serviceId, target) => told().connected(node, port, serviceId, target),
  };
  const world = new World({ seed, nodes: 3 + randomInt(rng, 3), keepLines: options.keepLines, verbose: options.verbose }, watch);
  truth = new Truth(world);
  for (const invariant of INVARIANTS) invariant(truth);
  const user = new User(truth, forkRng(seed, 'user'));
  const unhandled = (error: unknown): void => {
    truth?.fail('crash', `nobody handled: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  };
  process.on('unhandledRejection', unhandled);
  const { scheduler, trace } = world;
  const run = async (untilMs: number, isDone: () => boolean = () => false): Promise<void> => {
    while (!isDone() && told().violations.length === 0 && (await scheduler.step(untilMs)) !== undefined);
  };

  let faults = 0;
  const beginFault = (): void => {
    const fault = strike({ truth: told(), rng, traps });
    if (fault === undefined) return;
    faults++;
    const name = `${fault.name} #${faults}`;
    trace.line('FAULT', `${fault.name}: ${fault.target}, for ${(fault.lastsMs / 1000).toFixed(1)} s`);
    coverage.count(fault.name, told());
    told().faults.add(name);
    told().disturbed();
    const healed = (): void => {
      if (!told().faults.delete(name)) return;
      trace.line('FAULT', `over: ${fault.name}: ${fault.target}`);
      fault.heal();
      told().disturbed();
    };
    heals.push(healed);
    told().later(fault.lastsMs, healed);
  };
  const heals: (() => void)[] = [];
  const plan = (count: number, call: () => void): void => {
    for (let at = 0; at < count; at++) told().later(between(rng, CALM_START_MS, CHAOS_MS), call);
  };

  world.start();
  plan(COMMANDS.least + randomInt(rng, COMMANDS.most - COMMANDS.least + 1), () => void user.act());
  plan(FAULTS.least + randomInt(rng, FAULTS.most - FAULTS.least + 1), beginFault);
  await run(CHAOS_MS);

  trace.line('FAULT', 'everything is put right');
  for (const heal of heals) heal();
  for (const node of world.nodes) node.engine.heal();
  for (const manager of world.managers) manager.start();
  for (const node of world.nodes) node.startAgent();
  const healedMs = scheduler.nowMs;
  let settled = false;
  void user.settle().then(() => {
    settled = true;
    trace.line('user', 'has settled');
  });
  let lookedMs = 0;
  let missing: readonly string[] = ['not looked at yet'];
  const isAtRest = (): boolean => {
    if (!settled || scheduler.nowMs - lookedMs < LOOK_MS) return false;
    lookedMs = scheduler.nowMs;
    missing = whatIsMissing(told());
    return missing.length === 0;
  };
  await run(healedMs + CONVERGE_MS, isAtRest);
  if (told().violations.length === 0 && missing.length > 0) {
    told().fail(
      'I6',
      `not converged ${CONVERGE_MS / 1000} s after the last fault: ${settled ? missing.slice(0, 8).join('; ') : 'the user’s last commands were never acknowledged'}`,
    );
  }
  trace.line('judge', `at rest after ${((scheduler.nowMs - healedMs) / 1000).toFixed(1)} s`);
  const restMs = scheduler.nowMs;
  await run(restMs + STAY_MS);
  const after = whatIsMissing(told());
  if (told().violations.length === 0 && after.length > 0) told().fail('I6', `it did not stay at rest: ${after.slice(0, 8).join('; ')}`);
  process.off('unhandledRejection', unhandled);
  return {
    seed,
    violation: told().violations.map(({ invariant, text }) => `${invariant}: ${text}`)[0],
    lines: trace.lines(),
    digest: trace.digest(),
    coverage,
    steps: scheduler.steps,
    virtualMs: scheduler.nowMs,
    commands: user.commands,
    faults,
  };
}

const SESSION = '/shoal.v1.AgentSession/Session';
/** ManagerMessage.heartbeat with wire type 2. */
const HEARTBEAT_ANSWER = (2 << 3) | 2;

const INVARIANTS: readonly ((truth: Truth) => void)[] = [
  specsAreKept,
  slotsAreBounded,
  delaysAreKept,
  writersAreFenced,
  ordersAreFollowed,
  tablesAreKept,
  endsAreRoutedAround,
  connectionsArriveAtTheirService,
  stopsComeAfterDrains,
];
