// Users who try a new version beside the present one, say what becomes of it, and let clients wait.
import { randomInt } from '../../../lib/rng.ts';
import {
  CanaryEnd,
  CanaryWish,
  EndCanaryRequest,
  GetServiceRequest,
  PauseServiceRequest,
  ResumeServiceRequest,
  ServiceMode,
  type ServiceSpec,
  UpdateServiceRequest,
} from '../../../proto/index.ts';
import { chance, pick, pickOrNone } from '../core/random.ts';
import { isIngress, type Truth } from '../truth/truth.ts';
import type { Command } from './commands.ts';
import { send } from './send.ts';
import { forced, randomImage, randomUpdate, withImage } from './specs.ts';

const PROMOTE_AFTER_MS = [0, 0, 1000, 8000];

function isTriable(spec: ServiceSpec | undefined): boolean {
  return spec !== undefined && spec.mode === ServiceMode.REPLICATED && isIngress(spec) && spec.replicas > 0;
}

export const beginCanary: Command = {
  what: 'canary',
  async run({ truth, rng, control }) {
    const row = pickOrNone(
      rng,
      [...truth.mirror.all('services')].filter(({ id }) => isTriable(truth.newestSpec(id))),
    );
    if (row === undefined) return 'nothing to try';
    const one = control();
    const service = await one.getService(GetServiceRequest.create({ ref: row.id }));
    if (service.spec === undefined) return 'it has no spec';
    const changed = withImage({ ...forced(service.spec), update: randomUpdate(rng) }, randomImage(service.spec, rng));
    const canary = CanaryWish.create({ permille: randomInt(rng, 1001), promoteAfterMs: pick(rng, PROMOTE_AFTER_MS) });
    const { id: ref, version } = service;
    const ask = (spec: ServiceSpec) => one.updateService(UpdateServiceRequest.create({ ref, version, spec, canary, noResolveImage: true }));
    const answer = await send(truth, changed, ask, true);
    return `${row.value.name} tries spec ${answer.service?.canary?.specNumber ?? 0} with ${canary.permille / 10}%`;
  },
};

export const endCanary: Command = {
  what: 'end canary',
  async run({ truth, rng, control }) {
    const row = pickOrNone(rng, withCanary(truth));
    if (row === undefined) return 'no canary';
    const end = chance(rng, 0.6) ? CanaryEnd.CANARY_PROMOTE : CanaryEnd.CANARY_ABORT;
    await control().endCanary(EndCanaryRequest.create({ ref: row.id, end }));
    return `${row.value.name}: ${end === CanaryEnd.CANARY_PROMOTE ? 'promoted' : 'aborted'}`;
  },
};

export const pause: Command = {
  what: 'pause',
  async run({ truth, rng, control }) {
    const row = pickOrNone(rng, [...truth.mirror.all('services')]);
    if (row === undefined) return 'nothing to pause';
    const isOn = row.value.pause?.on === true && chance(rng, 0.5);
    if (isOn) await control().resumeService(ResumeServiceRequest.create({ ref: row.id }));
    else await control().pauseService(PauseServiceRequest.create({ ref: row.id, maxMs: 1000 + randomInt(rng, 10_000) }));
    return `${row.value.name} ${isOn ? 'resumed' : 'paused'}`;
  },
};

function withCanary(truth: Truth) {
  return [...truth.mirror.all('services')].filter(({ value }) => value.canary !== undefined && !value.canary.promoted);
}
