// What create, update and scale do after the manager took the change: tell its warnings, then wait.
import { PortMode, type ServiceChange, type ServiceView } from '../../proto/index.ts';
import { parseTimeout, parseVerify } from '../command-line/values.ts';
import type { VerbContext } from '../command-line/verb.ts';
import { tellClosedPorts } from './warnings.ts';
import type { Change, WaitFlags, WaitTimes } from './progress/wait.ts';
import { waitForConvergence } from './progress/wait.ts';

/** `before`: the service as it was, if it was there. */
export async function finishChange(
  context: VerbContext,
  change: ServiceChange,
  before: ServiceView | undefined,
  flags: WaitFlags,
  isRollback = false,
): Promise<void> {
  if (flags.detach === true) return;
  await waitForConvergence(context, { ...changeOf(change, before), isRollback }, flags.quiet === true, waitTimes(flags));
  if (change.service?.spec?.ports.some(({ mode }) => mode === PortMode.INGRESS) === true) {
    // The service has converged, and a node may yet be unable to answer for it.
    await tellClosedPorts(context, [change.service.id]);
  }
}

/** Throws `invalid_argument`: verbs call it before they change anything. */
export function waitTimes(flags: WaitFlags): WaitTimes {
  return { stableMs: parseVerify(flags.verify), timeoutMs: parseTimeout(flags.timeout) };
}

function changeOf({ service, revision, specNumber }: ServiceChange, before: ServiceView | undefined): Omit<Change, 'isRollback'> {
  const id = service?.id ?? before?.id ?? '';
  const isChanged = before === undefined || service?.version !== before.version;
  return {
    serviceId: id,
    serviceName: service?.spec?.name ?? before?.spec?.name ?? id,
    revision,
    isChanged,
    specNumber,
  };
}
