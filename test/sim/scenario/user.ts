// Somebody who uses the cluster: sends commands to any manager through the control API, tries another one where one does not answer, and keeps what was said.
import { ShoalError } from '../../../lib/errors.ts';
import { type Rng, randomInt } from '../../../lib/rng.ts';
import type { ClientOf } from '../../../lib/rpc/index.ts';
import {
  Availability,
  type ControlService,
  CreateServiceRequest,
  GetServiceRequest,
  ListNodesRequest,
  ListServicesRequest,
  type NodeView,
  RemoveNodeRequest,
  RemoveServiceRequest,
  type ServiceChange,
  ServiceMode,
  type ServiceSpec,
  type ServiceView,
  UpdateNodeRequest,
  UpdateServiceRequest,
} from '../../../proto/index.ts';
import { chance, pick, pickOrNone } from '../core/random.ts';
import { short } from '../core/trace.ts';
import type { Truth } from '../truth/truth.ts';
import { forced, randomImage, randomSpec, randomUpdate, withImage, withRandomConstraint, withoutConstraints } from './specs.ts';

type Control = ClientOf<typeof ControlService>;

const MAX_SERVICES = 5;
const ATTEMPTS = 4;
const AGAIN_MS = 400;
/** How long a node stays drained. */
const DRAINED_MS = 6000;

export class User {
  readonly #truth: Truth;
  readonly #rng: Rng;
  readonly #controls: readonly Control[];
  #made = 0;
  /** Commands without an answer. */
  #asking = 0;
  commands = 0;

  constructor(truth: Truth, rng: Rng) {
    this.#truth = truth;
    this.#rng = rng;
    this.#controls = truth.world.ground.managerAddresses.map((address) => truth.world.control(address));
  }

  /** One command. Never rejects: what came of it is in the trace. */
  async act(): Promise<void> {
    this.commands++;
    const services = [...this.#truth.mirror.all('services')].length;
    const rng = this.#rng;
    const roll = rng.next();
    if (services === 0 || (services < MAX_SERVICES && roll < 0.2)) return this.#say('create', () => this.#create());
    if (roll < 0.35)
      return this.#change('scale', (spec) => (spec.mode === ServiceMode.GLOBAL ? forced(spec) : { ...spec, replicas: randomInt(rng, 8) }));
    if (roll < 0.5) return this.#change('update image', (spec) => withImage(spec, randomImage(rng)));
    if (roll < 0.6) return this.#change('force update', forced);
    if (roll < 0.65) return this.#change('update settings', (spec) => ({ ...spec, update: randomUpdate(rng) }));
    if (roll < 0.7)
      return this.#change('constrain', (spec) => (chance(rng, 0.5) ? withRandomConstraint(spec, rng) : withoutConstraints(spec)));
    if (roll < 0.76) return this.#say('rm service', () => this.#removeService());
    if (roll < 0.9) return this.#say('node availability', () => this.#availability());
    if (roll < 0.96) return this.#say('node labels', () => this.#labels());
    if (roll < 0.975) return this.#say('rm node', () => this.#removeNode());
    return this.#say('ls', async (control) => `${(await control.listServices(ListServicesRequest.create({}))).services.length} services`);
  }

  /** Brings every service and node to where it can converge, and tries until that is acknowledged. */
  async settle(): Promise<void> {
    // What is still on its way would undo it.
    while (this.#asking > 0) await this.#pause(AGAIN_MS);
    for (;;) {
      const nodes = await this.#ask((control) => control.listNodes(ListNodesRequest.create({})));
      const services = await this.#ask((control) => control.listServices(ListServicesRequest.create({})));
      if (nodes !== undefined && services !== undefined) {
        const done = await Promise.all([
          ...nodes.nodes.map((node) => this.#restoreNode(node)),
          ...services.services.map((service) => this.#restoreService(service)),
        ]);
        if (done.every(Boolean)) return;
      }
      await this.#pause(AGAIN_MS);
    }
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
      return service.spec === undefined ? undefined : await this.#updateBy(control, service, forced(service.spec));
    });
  }

  async #insist(what: string, call: (control: Control) => Promise<unknown>): Promise<void> {
    this.#truth.world.trace.line('user', `asks: ${what}`);
    while ((await this.#ask(call)) === undefined) await this.#pause(AGAIN_MS);
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
    const isGood = (image === 'sim/web' || image === 'sim/check') && (spec.task?.placement?.constraints ?? []).length === 0;
    const isPaused = service.status?.update?.message !== '' && service.status?.update !== undefined;
    if (isGood && !isPaused) return true;
    const next = forced(withoutConstraints(withImage(spec, 'sim/web')));
    return await this.#update(service, next);
  }

  #change(what: string, edit: (spec: ServiceSpec) => ServiceSpec): Promise<void> {
    return this.#say(what, async (control) => {
      const row = pickOrNone(this.#rng, [...this.#truth.mirror.all('services')]);
      if (row === undefined) return 'nothing to change';
      const service = await control.getService(GetServiceRequest.create({ ref: row.id }));
      if (service.spec === undefined) return 'it has no spec';
      const next = edit(service.spec);
      const number = await this.#updateBy(control, service, next);
      return `${service.spec.name} is at spec ${number}`;
    });
  }

  async #update(service: ServiceView, spec: ServiceSpec): Promise<boolean> {
    try {
      const number = await this.#updateBy(pick(this.#rng, this.#controls), service, spec);
      this.#truth.world.trace.line('user', `restored ${spec.name}: spec ${number}`);
      return true;
    } catch {
      return false;
    }
  }

  async #updateBy(control: Control, service: ServiceView, spec: ServiceSpec): Promise<number> {
    const request = UpdateServiceRequest.create({ ref: service.id, version: service.version, spec, noResolveImage: true });
    const change = await control.updateService(request);
    this.#acknowledge(change, spec);
    return change.service?.specNumber ?? 0;
  }

  async #create(): Promise<string> {
    const number = ++this.#made;
    const spec = randomSpec(this.#rng, `s${number}`, 8000 + number);
    const request = CreateServiceRequest.create({ spec, noResolveImage: true });
    const change = await pick(this.#rng, this.#controls).createService(request);
    this.#acknowledge(change, spec);
    return `${spec.name}: ${spec.replicas} of ${spec.task?.container?.image ?? ''}, mode ${spec.mode}, as ${short(change.service?.id ?? '')}`;
  }

  /** Its own change, unless somebody was quicker: then the answer shows a later spec. */
  #acknowledge({ service, revision }: ServiceChange, spec: ServiceSpec): void {
    if (service === undefined) return;
    const { id, specNumber, version } = service;
    this.#truth.acknowledged({ serviceId: id, specNumber, spec: version === revision ? spec : undefined });
  }

  async #removeService(): Promise<string> {
    const row = pickOrNone(this.#rng, [...this.#truth.mirror.all('services')]);
    if (row === undefined) return 'nothing to remove';
    this.#truth.removals.add(row.id);
    await pick(this.#rng, this.#controls).removeService(RemoveServiceRequest.create({ ref: row.id }));
    return row.value.name;
  }

  async #availability(): Promise<string> {
    const row = pickOrNone(this.#rng, [...this.#truth.mirror.all('nodes')]);
    if (row?.value.spec === undefined) return 'no node';
    const availability = pick(this.#rng, [Availability.ACTIVE, Availability.ACTIVE, Availability.DRAIN, Availability.PAUSE]);
    const request = UpdateNodeRequest.create({ ref: row.id, version: 0, spec: { ...row.value.spec, availability } });
    await pick(this.#rng, this.#controls).updateNode(request);
    return `${short(row.id)} to ${availability}`;
  }

  async #labels(): Promise<string> {
    const row = pickOrNone(this.#rng, [...this.#truth.mirror.all('nodes')]);
    if (row?.value.spec === undefined) return 'no node';
    const labels = { ...row.value.spec.labels, gpu: chance(this.#rng, 0.5) ? 'yes' : 'no' };
    const request = UpdateNodeRequest.create({ ref: row.id, version: 0, spec: { ...row.value.spec, labels } });
    await pick(this.#rng, this.#controls).updateNode(request);
    return short(row.id);
  }

  async #removeNode(): Promise<string> {
    const rows = [...this.#truth.mirror.all('nodes')];
    const row = pickOrNone(this.#rng, rows);
    if (row === undefined || rows.length < 4) return 'no node to spare';
    await pick(this.#rng, this.#controls).removeNode(RemoveNodeRequest.create({ ref: row.id, force: chance(this.#rng, 0.5) }));
    return short(row.id);
  }

  async #say(what: string, run: (control: Control) => Promise<string>): Promise<void> {
    const { trace } = this.#truth.world;
    trace.line('user', `asks: ${what}`);
    this.#asking++;
    try {
      const result = await run(pick(this.#rng, this.#controls));
      trace.line('user', `done: ${what}: ${result}`);
    } catch (error) {
      trace.line('user', `failed: ${what}: ${ShoalError.from(error).code}: ${ShoalError.from(error).message}`);
    } finally {
      this.#asking--;
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
