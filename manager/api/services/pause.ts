// PauseService and ResumeService: new clients of a service wait in the meshes. What says so is part of the service's row, and so of the next route table.
import { ShoalError } from '../../../lib/errors.ts';
import {
  type PauseServiceRequest,
  PortMode,
  PortProtocol,
  type ResumeServiceRequest,
  type Service,
  type ServiceChange,
  ServicePause,
} from '../../../proto/index.ts';
import { activeSpecOf, isPaused, type Row, type StateView, TransactionBuilder } from '../../state/index.ts';
import { type Attempt, commitChange } from '../change.ts';
import { addEvent } from '../change-events.ts';
import type { ApiContext } from '../context.ts';
import { serviceByRef } from '../refs.ts';
import { changeAnswer, type StoredChange } from './change-answer.ts';

const DEFAULT_MAX_MS = 60_000;
/** As long as a port may hold its clients. */
const LONGEST_MS = 600_000;
const SHORTEST_MS = 1000;

/** One that is paused already begins to wait anew. Errors: `not_found`, `invalid_argument`, `conflict` where nobody could wait, and those of commitChange. */
export function pauseService(context: ApiContext, { ref, maxMs: asked }: PauseServiceRequest): Promise<ServiceChange> {
  const maxMs = asked === 0 ? DEFAULT_MAX_MS : asked;
  if (maxMs < SHORTEST_MS || maxMs > LONGEST_MS)
    throw ShoalError.invalid('the service cannot be paused so', [{ path: 'maxMs', message: `${maxMs} ms are not between 1s and 10m` }]);
  return change(context, ref, 'pause', ({ state, clock }, row) => {
    const warnings = refuseOrWarn(state, row);
    const number = (row.value.pause?.number ?? 0) + 1;
    return { pause: ServicePause.create({ number, maxMs, on: true, startedUnixMs: clock.wallMs() }), warnings };
  });
}

/** Errors: `not_found`, and those of commitChange. */
export function resumeService(context: ApiContext, { ref }: ResumeServiceRequest): Promise<ServiceChange> {
  return change(context, ref, 'resume', ({ state }, { id, value }) => {
    if (value.pause !== undefined && isPaused(value, state.get('serviceStatus', id)?.value))
      return { pause: { ...value.pause, on: false }, warnings: [] };
    return { pause: undefined, warnings: [`service ${value.name} is not paused: nothing changes`] };
  });
}

interface Outcome {
  /** Undefined: nothing is written. */
  readonly pause: ServicePause | undefined;
  readonly warnings: readonly string[];
}

async function change(
  context: ApiContext,
  ref: string,
  action: 'pause' | 'resume',
  make: (context: ApiContext, row: Row<Service>) => Outcome,
): Promise<ServiceChange> {
  const { state } = context;
  const { id, value: known } = serviceByRef(state, ref);
  let warnings: readonly string[] = [];
  const attempt = (): Attempt<StoredChange> => {
    const row = state.get('services', id);
    if (row === undefined) throw new ShoalError('not_found', `service ${known.name} was removed meanwhile`);
    const builder = new TransactionBuilder();
    const result = { row, specNumber: row.value.specNumber };
    const outcome = make(context, row);
    ({ warnings } = outcome);
    if (outcome.pause === undefined) return { builder, result };
    builder.put('services', id, { ...row.value, pause: outcome.pause }, row);
    addEvent(builder, context, { type: 'service', action, objectId: id, objectName: known.name, message: '', attributes: {} });
    return { builder, result };
  };
  const what = { object: `service ${known.name}`, verb: `${action}d`, look: `shoal service inspect ${known.name}` };
  const { result, revision } = await commitChange(context, what, attempt);
  return changeAnswer(state, result, revision, warnings);
}

function refuseOrWarn(state: StateView, { id, value: { name } }: Row<Service>): readonly string[] {
  const ports = activeSpecOf(state, id)?.spec.ports.filter(({ mode }) => mode === PortMode.INGRESS) ?? [];
  if (ports.length === 0)
    throw new ShoalError('conflict', `service ${name} publishes no port on every node: it has no clients in the mesh that could wait`);
  const datagrams = ports.filter(({ protocol }) => protocol === PortProtocol.UDP).map(({ publishedPort }) => publishedPort);
  return datagrams.length === 0
    ? []
    : [`udp clients do not wait: what they send to ${datagrams.join(', ')} is dropped until the service goes on`];
}
