// What simulated users ask of a cluster, one command at a time, through the control API of any manager.
import { type Rng, randomInt } from '../../../lib/rng.ts';
import type { ClientOf } from '../../../lib/rpc/index.ts';
import {
  Availability,
  ClusterSettings,
  type ControlService,
  CreateServiceRequest,
  EvictNodeRequest,
  ExplainServiceRequest,
  GetServiceRequest,
  ListServicesRequest,
  type NodeSpec,
  RebalanceServiceRequest,
  RemoveNodeRequest,
  RemoveServiceRequest,
  RollbackServiceRequest,
  ServiceMode,
  type ServiceSpec,
  type ServiceView,
  UpdateClusterRequest,
  UpdateNodeRequest,
  UpdateServiceRequest,
} from '../../../proto/index.ts';
import { chance, pick, pickOrNone } from '../core/random.ts';
import { short } from '../core/trace.ts';
import { isJob, type Truth } from '../truth/truth.ts';
import { beginCanary, endCanary, pause } from './canaries.ts';
import { withRandomSchedule } from './jobs.ts';
import { acknowledge, send } from './send.ts';
import { withRandomNeeds, withRandomPlacement } from './placements.ts';
import {
  bulkySpec,
  forced,
  randomImage,
  randomJob,
  randomRestart,
  randomSettings,
  randomSpec,
  randomUpdate,
  withImage,
  withRestart,
} from './specs.ts';

export type Control = ClientOf<typeof ControlService>;

export interface CommandWorld {
  readonly truth: Truth;
  readonly rng: Rng;
  /** One of the managers; each call may go to another. */
  readonly control: () => Control;
  /** Numbers of services, each given out once. */
  readonly nextNumber: () => number;
}

export interface Command {
  readonly what: string;
  /** What came of it, for the trace. */
  readonly run: (world: CommandWorld) => Promise<string>;
}

const MAX_SERVICES = 5;
/** Below that a cluster has too little left to show anything. */
const LEAST_NODES = 4;

function creation(make: typeof randomSpec): Command['run'] {
  return async ({ truth, rng, control, nextNumber }) => {
    const number = nextNumber();
    const one = control();
    const change = await send(truth, make(rng, `s${number}`, 8000 + number), (spec) =>
      one.createService(CreateServiceRequest.create({ spec, noResolveImage: true })),
    );
    const { spec } = change.service ?? {};
    return `${spec?.name ?? ''}: ${spec?.replicas ?? 0} of ${spec?.task?.container?.image ?? ''}, mode ${spec?.mode ?? 0}, as ${short(change.service?.id ?? '')}`;
  };
}

const create: Command = { what: 'create', run: creation(randomSpec) };
const createJob: Command = { what: 'create job', run: creation(randomJob) };

type Edit = (spec: ServiceSpec, rng: Rng) => ServiceSpec;

/** Of a service of those, or of any. */
function change(what: string, edit: Edit, isOne: (spec: ServiceSpec | undefined) => boolean = () => true): Command {
  return {
    what,
    async run({ truth, rng, control }) {
      const row = pickOrNone(
        rng,
        [...truth.mirror.all('services')].filter(({ id }) => isOne(truth.newestSpec(id))),
      );
      if (row === undefined) return 'nothing to change';
      const one = control();
      const service = await one.getService(GetServiceRequest.create({ ref: row.id }));
      if (service.spec === undefined) return 'it has no spec';
      const number = await updateService(truth, one, service, edit(service.spec, rng));
      return `${service.spec.name} is at spec ${number}`;
    },
  };
}

const scale = change('scale', (spec, rng) =>
  spec.mode === ServiceMode.GLOBAL || spec.mode === ServiceMode.GLOBAL_JOB ? forced(spec) : { ...spec, replicas: randomInt(rng, 8) },
);
const image = change('update image', (spec, rng) => withImage(spec, randomImage(spec, rng)));
const force = change('force update', forced);
const settings = change('update settings', (spec, rng) =>
  isJob(spec)
    ? withRandomSchedule(spec, rng)
    : { ...spec, update: randomUpdate(rng), rollback: chance(rng, 0.4) ? randomUpdate(rng) : undefined },
);
const needs = change('update needs', withRandomNeeds);
const restart = change('update restart policy', (spec, rng) => withRestart(spec, randomRestart(rng)));
const placement = change('update placement', withRandomPlacement);

const rollback: Command = {
  what: 'rollback',
  async run({ truth, rng, control }) {
    const row = pickOrNone(rng, [...truth.mirror.all('services')]);
    if (row === undefined) return 'nothing to roll back';
    const toSpecNumber = chance(rng, 0.3) ? Math.max(1, row.value.specNumber - 1 - randomInt(rng, 3)) : 0;
    const answer = await control().rollbackService(RollbackServiceRequest.create({ ref: row.id, toSpecNumber }));
    acknowledge(truth, answer, undefined);
    return `${row.value.name} is at spec ${answer.specNumber}`;
  },
};

const rebalance: Command = {
  what: 'rebalance',
  async run({ truth, rng, control }) {
    const movable = [...truth.mirror.all('services')].filter(({ id }) => truth.newestSpec(id)?.mode === ServiceMode.REPLICATED);
    const row = pickOrNone(rng, movable);
    if (row === undefined) return 'nothing to rebalance';
    const { request } = await control().rebalanceService(RebalanceServiceRequest.create({ ref: row.id }));
    return `${row.value.name}: wish ${request}`;
  },
};

const removeService: Command = {
  what: 'rm service',
  async run({ truth, rng, control }) {
    const row = pickOrNone(rng, [...truth.mirror.all('services')]);
    if (row === undefined) return 'nothing to remove';
    truth.removals.add(row.id);
    await control().removeService(RemoveServiceRequest.create({ ref: row.id }));
    return row.value.name;
  },
};

function changeNode(what: string, edit: (spec: NodeSpec, rng: Rng) => NodeSpec): Command {
  return {
    what,
    async run({ truth, rng, control }) {
      const row = pickOrNone(rng, [...truth.mirror.all('nodes')]);
      if (row?.value.spec === undefined) return 'no node';
      const spec = edit(row.value.spec, rng);
      await control().updateNode(UpdateNodeRequest.create({ ref: row.id, version: 0, spec }));
      return `${short(row.id)}: availability ${spec.availability}, gpu ${spec.labels['gpu'] ?? 'not said'}`;
    },
  };
}

const availability = changeNode('node availability', (spec, rng) => ({
  ...spec,
  availability: pick(rng, [Availability.ACTIVE, Availability.ACTIVE, Availability.DRAIN, Availability.PAUSE]),
}));
const labels = changeNode('node labels', (spec, rng) => ({ ...spec, labels: { ...spec.labels, gpu: chance(rng, 0.5) ? 'yes' : 'no' } }));

const evictNode: Command = {
  what: 'node evict',
  async run({ truth, rng, control }) {
    const row = pickOrNone(rng, [...truth.mirror.all('nodes')]);
    if (row === undefined) return 'no node';
    await control().evictNode(EvictNodeRequest.create({ ref: row.id }));
    return short(row.id);
  },
};

const removeNode: Command = {
  what: 'rm node',
  async run({ truth, rng, control }) {
    const rows = [...truth.mirror.all('nodes')];
    const row = pickOrNone(rng, rows);
    if (row === undefined || rows.length < LEAST_NODES) return 'no node to spare';
    await control().removeNode(RemoveNodeRequest.create({ ref: row.id, force: chance(rng, 0.5) }));
    return short(row.id);
  },
};

const clusterSettings: Command = {
  what: 'cluster settings',
  async run({ rng, control }) {
    const next = randomSettings(rng);
    await control().updateCluster(UpdateClusterRequest.create({ version: 0, settings: next }));
    return JSON.stringify(next);
  },
};

const look: Command = {
  what: 'look',
  async run({ truth, rng, control }) {
    const row = pickOrNone(rng, [...truth.mirror.all('services')]);
    if (row === undefined || chance(rng, 0.5))
      return `${(await control().listServices(ListServicesRequest.create({}))).services.length} services`;
    await control().explainService(ExplainServiceRequest.create({ ref: row.id }));
    return `${row.value.name} explained`;
  },
};

/** With how often each comes, of 100. */
const SHARES: readonly (readonly [Command, number])[] = [
  ...([
    [create, 17.5],
    [scale, 11],
    [image, 10.5],
    [beginCanary, 2],
    [endCanary, 1.5],
    [pause, 0.5],
    [force, 8],
    [settings, 4],
    [placement, 5],
    [needs, 2.5],
    [restart, 2],
  ] as const),
  ...([
    [rollback, 6],
    [rebalance, 3],
    [removeService, 5],
    [availability, 9.5],
    [labels, 3],
    [evictNode, 2],
    [removeNode, 1.5],
  ] as const),
  ...([
    [clusterSettings, 3.5],
    [look, 2],
  ] as const),
];

/** What brings a step of the protocol about. */
export type Wish = 'roll' | 'run job' | 'rebalance' | 'crowd';

const again = change('run job', forced, isJob);
const WISHES: Readonly<Record<Wish, Command>> = {
  roll: change('force update', forced, (spec) => !isJob(spec) && spec?.replicas !== 0),
  'run job': {
    what: 'run job',
    run: (world) =>
      ([...world.truth.mirror.all('services')].some(({ id }) => isJob(world.truth.newestSpec(id))) ? again : createJob).run(world),
  },
  rebalance,
  crowd: {
    what: 'crowd',
    async run(world) {
      await world
        .control()
        .updateCluster(UpdateClusterRequest.create({ version: 0, settings: ClusterSettings.create({ preemptionGap: 1 }) }));
      return creation(bulkySpec)(world);
    },
  },
};

export function wished(wish: Wish): Command {
  return WISHES[wish];
}

export function randomCommand({ truth, rng }: CommandWorld): Command {
  const services = [...truth.mirror.all('services')].length;
  let roll = rng.next() * 100;
  if (services === 0) return create;
  for (const [command, share] of SHARES) {
    if ((roll -= share) < 0) return command === create && services >= MAX_SERVICES ? scale : command;
  }
  return look;
}

/** Resolves to the number of the spec; rejects as the API does. */
export async function updateService(truth: Truth, control: Control, service: ServiceView, spec: ServiceSpec): Promise<number> {
  const { id: ref, version } = service;
  const answer = await send(truth, spec, (marked) =>
    control.updateService(UpdateServiceRequest.create({ ref, version, spec: marked, noResolveImage: true })),
  );
  return answer.specNumber;
}
