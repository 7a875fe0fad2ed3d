// One seed from start to end: the cluster comes up, users and faults have their time, everything is put right, and then it must come to rest; after that come
// restarts that nobody may notice, and updates that may cost no replica too many.
import { messageOf } from '../../../lib/errors.ts';
import { type Rng, randomInt } from '../../../lib/rng.ts';
import { between, chance, forkRng, pick } from '../core/random.ts';
import { ordersAreFollowed, tablesAreKept } from '../invariants/agents.ts';
import { writersAreFenced } from '../invariants/fences.ts';
import { massLossIsHeld } from '../invariants/holds.ts';
import { slotsHaveOneHolder } from '../invariants/holders.ts';
import { completedSlotsStay, iterationsEndWhenDone, limitsAreKept, schedulesAreKept } from '../invariants/jobs.ts';
import { nodesAreNotOverfilled, onlyLowerPrioritiesMakeRoom } from '../invariants/placement.ts';
import { unreadyOne } from '../invariants/readiness.ts';
import { restartPoliciesAreKept } from '../invariants/restarts.ts';
import { minimumIsKept, restartsAreUnnoticed } from '../invariants/rolling.ts';
import { connectionsArriveAtTheirService, endsAreRoutedAround, ownMeshStopsAtOnce, stopsComeAfterDrains } from '../invariants/routes.ts';
import { delaysAreKept, slotsAreBounded } from '../invariants/slots.ts';
import { specsAreKept } from '../invariants/specs.ts';
import { whatIsMissing } from '../truth/convergence.ts';
import { countFinishes, type Finishes } from '../truth/finishes.ts';
import { Truth } from '../truth/truth.ts';
import { World } from '../world.ts';
import { Chaos } from './chaos.ts';
import { Coverage, STEPS } from './coverage.ts';
import { FAULT_KINDS } from './faults.ts';
import { Traps } from './traps.ts';
import { User } from './user.ts';

export interface SeedOptions {
  readonly seed: number;
  /** Lines of the trace that are kept. */
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
const CHAOS_MS = 55_000;
/** From the last repair to rest: drains, slow stops, updates one by one, and the back-off of what failed before. */
const CONVERGE_MS = 240_000;
const STAY_MS = 2000;
const RESTART_MS = { between: 3000, down: 1500 };
const COMMANDS = { least: 20, most: 30 };
const FAULTS = { least: 5, most: 12 };
/** Faults that wait for a step. */
const AIMS = 2;
/** Seeds in which tasks make room for each other. */
const CROWDED = { every: 7, at: 6, services: 5, afterMs: 3000 };
const ROLLS = 2;
const LOOK_MS = 250;
/** A whole seed has some ten thousand steps. */
const MOST_STEPS_AT_ONCE = 20_000;

const INVARIANTS: readonly ((truth: Truth) => void)[] = [
  specsAreKept,
  slotsAreBounded,
  slotsHaveOneHolder,
  delaysAreKept,
  writersAreFenced,
  ordersAreFollowed,
  tablesAreKept,
  endsAreRoutedAround,
  ownMeshStopsAtOnce,
  connectionsArriveAtTheirService,
  stopsComeAfterDrains,
  massLossIsHeld,
  completedSlotsStay,
  limitsAreKept,
  schedulesAreKept,
  nodesAreNotOverfilled,
  onlyLowerPrioritiesMakeRoom,
  restartPoliciesAreKept,
];

export async function runSeed(options: SeedOptions): Promise<SeedResult> {
  const run = new SeedRun(options);
  const onUnhandled = (error: unknown): void => {
    run.truth.fail('crash', `nobody handled: ${messageOf(error)}`);
    if (options.verbose && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
  };
  process.on('unhandledRejection', onUnhandled);
  try {
    return await run.toTheEnd();
  } finally {
    process.off('unhandledRejection', onUnhandled);
  }
}

class SeedRun {
  readonly truth: Truth;
  readonly #seed: number;
  readonly #rng: Rng;
  readonly #world: World;
  readonly #user: User;
  readonly #chaos: Chaos;
  readonly #coverage = new Coverage();
  readonly #finishes: Finishes;
  readonly #minimum: ReturnType<typeof minimumIsKept>;
  readonly #restarts: ReturnType<typeof restartsAreUnnoticed>;

  constructor({ seed, keepLines, verbose }: SeedOptions) {
    this.#seed = seed;
    this.#rng = forkRng(seed, 'scenario');
    const traps = new Traps();
    this.#world = new World({ seed, nodes: 3 + randomInt(this.#rng, 3), keepLines, verbose });
    this.truth = new Truth(this.#world);
    this.#world.watchWith(this.truth, (process, seam, step) => {
      traps.atPoint(process, seam, step);
    });
    for (const invariant of INVARIANTS) invariant(this.truth);
    this.#finishes = countFinishes(this.truth);
    iterationsEndWhenDone(this.truth, this.#finishes);
    this.#minimum = minimumIsKept(this.truth);
    this.#restarts = restartsAreUnnoticed(this.truth);
    this.#user = new User(this.truth, forkRng(seed, 'user'));
    this.#chaos = new Chaos({
      truth: this.truth,
      rng: this.#rng,
      traps,
      coverage: this.#coverage,
      ask: (wish) => void this.#user.wish(wish),
    });
  }

  async toTheEnd(): Promise<SeedResult> {
    const { truth } = this;
    this.#world.start();
    await this.#trouble();
    await this.#rest('after the last fault', () => this.#user.settle());
    await this.#restartProcesses();
    await this.#roll();
    const { trace, scheduler } = this.#world;
    const digest = trace.digest();
    await this.#world.end();
    const [first] = truth.violations;
    return {
      seed: this.#seed,
      violation: first && `${first.invariant}: ${first.text}`,
      lines: trace.lines(),
      digest,
      coverage: this.#coverage,
      steps: scheduler.steps,
      virtualMs: scheduler.nowMs,
      commands: this.#user.commands,
      faults: this.#chaos.count,
    };
  }

  async #trouble(): Promise<void> {
    const rng = this.#rng;
    const plan = (count: number, untilMs: number, call: () => void): void => {
      for (let at = 0; at < count; at++) this.truth.later(between(rng, CALM_START_MS, untilMs), call);
    };
    plan(COMMANDS.least + randomInt(rng, COMMANDS.most - COMMANDS.least + 1), CHAOS_MS, () => void this.#user.act());
    if (this.#seed % CROWDED.every === CROWDED.at)
      for (let at = 1; at <= CROWDED.services; at++)
        this.truth.later(CALM_START_MS + at * CROWDED.afterMs, () => void this.#user.wish('crowd'));
    // Some clusters have much trouble all the time, some a little at first.
    const isStorm = chance(rng, 0.6);
    const most = isStorm ? FAULTS.most : FAULTS.least + 2;
    plan(FAULTS.least + randomInt(rng, most - FAULTS.least), isStorm ? CHAOS_MS : CHAOS_MS / 3, () => {
      this.#chaos.strike();
    });
    // All kinds in the middle of all steps, in turn over the seeds.
    for (let aim = 0; aim < AIMS; aim++) {
      const cell = (this.#seed * AIMS + aim) % (FAULT_KINDS * STEPS.length);
      plan(1, CHAOS_MS / 2, () => {
        this.#chaos.aim(STEPS[cell % STEPS.length] ?? 'rest', Math.floor(cell / STEPS.length));
      });
    }
    await this.#run(CHAOS_MS);
    this.#chaos.end();
  }

  /** I6. `act`: what users still have to say before. */
  async #rest(since: string, act: () => Promise<void>): Promise<void> {
    const { scheduler, trace } = this.#world;
    const fromMs = scheduler.nowMs;
    const users = { haveSpoken: false };
    void act().then(() => {
      users.haveSpoken = true;
    });
    let lookedMs = 0;
    let missing: readonly string[] = [];
    const isAtRest = (): boolean => {
      if (!users.haveSpoken || scheduler.nowMs - lookedMs < LOOK_MS) return false;
      lookedMs = scheduler.nowMs;
      missing = whatIsMissing(this.truth, this.#finishes);
      return missing.length === 0;
    };
    await this.#run(fromMs + CONVERGE_MS, isAtRest);
    if (this.#isOver()) return;
    const { nowMs } = scheduler;
    if (nowMs >= fromMs + CONVERGE_MS) {
      const what = users.haveSpoken ? missing.slice(0, 8).join('; ') : 'the user’s last commands were never acknowledged';
      this.truth.fail('I6', `not at rest ${CONVERGE_MS / 1000} s ${since}: ${what}`);
      return;
    }
    trace.line('judge', `at rest ${((nowMs - fromMs) / 1000).toFixed(1)} s ${since}`);
    await this.#run(nowMs + STAY_MS);
    if (this.#isOver()) return;
    const after = whatIsMissing(this.truth, this.#finishes);
    if (after.length > 0) this.truth.fail('I6', `it did not stay at rest: ${after.slice(0, 8).join('; ')}`);
  }

  /** I7: one process of each kind, one after another; and a task that is not ready for a while. */
  async #restartProcesses(): Promise<void> {
    const { managers, nodes, scheduler, trace } = this.#world;
    this.#restarts.begin();
    const node = pick(this.#rng, nodes);
    const manager = pick(this.#rng, managers);
    const restarts: readonly { readonly name: string; readonly end: () => void; readonly start: () => void }[] = [
      { name: node.name, end: () => node.agentProcess?.kill('restarted'), start: () => node.startAgent() },
      { name: manager.name, end: () => manager.process?.kill('restarted'), start: () => manager.start() },
      { name: node.name, end: () => node.mesh?.process.kill('restarted'), start: () => undefined },
    ];
    for (const { name, end, start } of restarts) {
      if (this.#isOver()) return;
      trace.line('FAULT', `a process of ${name} is restarted`);
      end();
      this.truth.later(between(this.#rng, 100, RESTART_MS.down), start);
      await this.#run(scheduler.nowMs + RESTART_MS.between);
    }
    await this.#unready();
    this.#restarts.end();
  }

  async #unready(): Promise<void> {
    const { scheduler } = this.#world;
    const unready = this.#isOver() ? undefined : unreadyOne(this.truth, this.#rng);
    if (unready === undefined) return;
    unready.begin();
    await this.#run(scheduler.nowMs + unready.noticedMs);
    if (!this.#isOver()) unready.judge();
    unready.end();
    await this.#run(scheduler.nowMs + unready.noticedMs);
  }

  /** Updates and drains while nothing is wrong. */
  async #roll(): Promise<void> {
    if (this.#isOver()) return;
    await this.#rest('after restarts', () => Promise.resolve());
    if (this.#isOver()) return;
    this.#minimum.begin();
    for (let roll = 0; roll < ROLLS && !this.#isOver(); roll++) await this.#rest('after a roll', () => this.#user.roll());
    this.#minimum.end();
  }

  #isOver(): boolean {
    return this.truth.violations.length > 0;
  }

  async #run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    const { scheduler } = this.#world;
    while (!this.#isOver() && !isDone()) {
      const owner = await scheduler.step(untilMs);
      if (owner === undefined) return;
      if (scheduler.stepsNow > MOST_STEPS_AT_ONCE)
        this.truth.fail('I6', `time stands still: ${owner.name} and others did ${MOST_STEPS_AT_ONCE} steps in one instant`);
    }
  }
}
