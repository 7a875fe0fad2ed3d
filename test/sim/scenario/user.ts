// Somebody who uses the cluster: sends commands to any manager through the control API, tries another one where one does not answer, and keeps what was said.
import { ShoalError } from '../../../lib/errors.ts';
import type { Rng } from '../../../lib/rng.ts';
import {
  Availability,
  ClusterSettings,
  GetServiceRequest,
  JobOverlap,
  JobState,
  ListNodesRequest,
  ListServicesRequest,
  type NodeView,
  RestartPolicy,
  type ServiceSpec,
  type ServiceView,
  UpdateClusterRequest,
  UpdateNodeRequest,
} from '../../../proto/index.ts';
import { chance, pick, pickOrNone } from '../core/random.ts';
import { short } from '../core/trace.ts';
import { isJob, type Truth } from '../truth/truth.ts';
import { type Command, type CommandWorld, type Control, randomCommand, updateService, type Wish, wished } from './commands.ts';
import { makesDemands, withoutDemands } from './placements.ts';
import { forced, givesUp, withImage, withRestart } from './specs.ts';

const ATTEMPTS = 4;
const AGAIN_MS = 400;
/** Do what they are for, once everything is put right. */
const GOOD_IMAGES = ['sim/web', 'sim/check', 'sim/job', 'sim/job-flaky'];
/** How long a node stays drained. */
const DRAINED_MS = 6000;

export class User {
  readonly #truth: Truth;
  readonly #rng: Rng;
  readonly #controls: readonly Control[];
  readonly #world: CommandWorld;
  #made = 0;
  /** Commands without an answer. */
  #asking = 0;
  commands = 0;

  constructor(truth: Truth, rng: Rng) {
    this.#truth = truth;
    this.#rng = rng;
    this.#controls = truth.world.ground.managerAddresses.map((address) => truth.world.control(address));
    this.#world = { truth, rng, control: () => pick(rng, this.#controls), nextNumber: () => ++this.#made };
  }

  /** One command. Never rejects: what came of it is in the trace. */
  async act(): Promise<void> {
    this.commands++;
    await this.#run(randomCommand(this.#world));
  }

  /** One command that brings about what is asked for. */
  async wish(wish: Wish): Promise<void> {
    await this.#run(wished(wish));
  }

  async #run({ what, run }: Command): Promise<void> {
    const { trace } = this.#truth.world;
    trace.line('user', `asks: ${what}`);
    this.#asking++;
    try {
      trace.line('user', `done: ${what}: ${await run(this.#world)}`);
    } catch (error) {
      trace.line('user', `failed: ${what}: ${ShoalError.from(error).code}: ${ShoalError.from(error).message}`);
    } finally {
      this.#asking--;
    }
  }

  /** Brings every service and node to where it can converge, and tries until that is acknowledged. */
  async settle(): Promise<void> {
    // What is still on its way would undo it.
    while (this.#asking > 0) await this.#pause(AGAIN_MS);
    for (;;) {
      const nodes = await this.#ask((control) => control.listNodes(ListNodesRequest.create({})));
      const services = await this.#ask((control) => control.listServices(ListServicesRequest.create({})));
      if (nodes !== undefined && services !== undefined && this.#isCurrent(nodes.nodes, services.services)) {
        const done = await Promise.all([
          this.#restoreSettings(),
          ...nodes.nodes.map((node) => this.#restoreNode(node)),
          ...services.services.map((service) => this.#restoreService(service)),
        ]);
        if (done.every(Boolean)) return;
      }
      await this.#pause(AGAIN_MS);
    }
  }

  /** A manager that hears of changes late tells what was: by that, a node could be left as it is. */
  #isCurrent(nodes: readonly NodeView[], services: readonly ServiceView[]): boolean {
    const { mirror } = this.#truth;
    const versions = new Map([...nodes, ...services].map(({ id, version }) => [id, version]));
    return [...mirror.all('nodes'), ...mirror.all('services')].every(({ id, modRevision }) => versions.get(id) === modRevision);
  }

  /** An update or a node's drain, with everything in order; tried until it is acknowledged. */
  async roll(): Promise<void> {
    const rng = this.#rng;
    if (chance(rng, 0.35)) {
      const row = pickOrNone(rng, [...this.#truth.mirror.all('nodes')]);
      if (row?.value.spec === undefined) return;
      for (const availability of [Availability.DRAIN, Availability.ACTIVE]) {
        const request = UpdateNodeRequest.create({ ref: row.id, version: 0, spec: { ...row.value.spec, availability } });
        await this.#insist(`node ${short(row.id)} to ${availability}`, (control) => control.updateNode(request));
        if (availability === Availability.DRAIN) await this.#pause(DRAINED_MS);
      }
      return;
    }
    const row = pickOrNone(rng, [...this.#truth.mirror.all('services')]);
    if (row === undefined) return;
    await this.#insist(`force update of ${row.value.name}`, async (control) => {
      const service = await control.getService(GetServiceRequest.create({ ref: row.id }));
      return service.spec === undefined ? undefined : await updateService(this.#truth, control, service, forced(service.spec));
    });
  }

  async #insist(what: string, call: (control: Control) => Promise<unknown>): Promise<void> {
    this.#truth.world.trace.line('user', `asks: ${what}`);
    while ((await this.#ask(call)) === undefined) await this.#pause(AGAIN_MS);
  }

  async #restoreSettings(): Promise<boolean> {
    const settings = this.#truth.mirror.get('cluster', '')?.value.settings;
    if (settings === undefined || Object.values(settings).every((value) => value === undefined)) return true;
    const request = UpdateClusterRequest.create({ version: 0, settings: ClusterSettings.create({}) });
    return (await this.#ask((control) => control.updateCluster(request))) !== undefined;
  }

  async #restoreNode(node: NodeView): Promise<boolean> {
    const { spec } = node;
    if (spec === undefined || spec.availability === Availability.ACTIVE) return true;
    const request = UpdateNodeRequest.create({ ref: node.id, version: 0, spec: { ...spec, availability: Availability.ACTIVE } });
    return (await this.#ask((control) => control.updateNode(request))) !== undefined;
  }

  /** A service that runs an image that cannot run, was paused, or may have nowhere to go. */
  async #restoreService(service: ServiceView): Promise<boolean> {
    const { spec } = service;
    if (spec === undefined) return true;
    const image = spec.task?.container?.image ?? '';
    const isGood = GOOD_IMAGES.includes(image) && !makesDemands(spec) && !givesUp(spec);
    const { update, job } = this.#truth.mirror.get('serviceStatus', service.id)?.value ?? {};
    const isPaused = update !== undefined && update.message !== '';
    const hasFailed = job?.iterations.at(-1)?.state === JobState.JOB_FAILED || (spec.job?.deadlineMs ?? 0) > 0;
    // Runs that may overlap go by the specs that they began with, which may have nowhere to go.
    const goesByOther = job?.iterations.some(
      ({ state, specNumber }) => state === JobState.JOB_RUNNING && specNumber !== service.specNumber,
    );
    if (isGood && !isPaused && !hasFailed && goesByOther !== true) return true;
    const good = forced(withoutDemands(withImage(spec, isJob(spec) ? 'sim/job' : 'sim/web')));
    return await this.#update(service, withPatience(givesUp(good) ? withRestart(good, RestartPolicy.create({ delayMs: 1000 })) : good));
  }

  async #update(service: ServiceView, spec: ServiceSpec): Promise<boolean> {
    try {
      const number = await updateService(this.#truth, pick(this.#rng, this.#controls), service, spec);
      this.#truth.world.trace.line('user', `restored ${spec.name}: spec ${number}`);
      return true;
    } catch {
      return false;
    }
  }

  async #ask<T>(call: (control: Control) => Promise<T>): Promise<T | undefined> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        return await call(pick(this.#rng, this.#controls));
      } catch {
        await this.#pause(AGAIN_MS);
      }
    }
    return undefined;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#truth.later(ms, resolve);
    });
  }
}

/** A job without a deadline, whose next run is the only one. */
function withPatience(spec: ServiceSpec): ServiceSpec {
  if (spec.job === undefined) return spec;
  const { schedule } = spec.job;
  const alone = schedule?.overlap === JobOverlap.OVERLAP_ALLOW ? { ...schedule, overlap: JobOverlap.OVERLAP_REPLACE } : schedule;
  return { ...spec, job: { ...spec.job, deadlineMs: 0, schedule: alone } };
}
