// I1: an acknowledged spec is never lost, one that was refused is not there; and what it says of observed states: they only move forward.
import { TaskState } from '../../../proto/index.ts';
import { short } from '../core/trace.ts';
import { MARK_LABEL, type Truth } from '../truth/truth.ts';

export function specsAreKept(truth: Truth): void {
  const { mirror } = truth;
  /** The newest number that a user was told of. */
  const told = new Map<string, number>();
  /** What users were told, by the marks of their requests. */
  const refusals = new Map<string, string>();

  const checkRefused = (specId: string, mark: string | undefined): void => {
    const why = refusals.get(mark ?? '');
    if (why !== undefined)
      truth.fail('I1', `spec ${short(specId)}${specId.slice(specId.indexOf('/'))} is there, and its user was told: ${why}`);
  };
  mirror.onChange((change) => {
    if (change.table === 'services') {
      const was = change.before?.value.specNumber ?? 0;
      if (change.after === undefined) {
        if (!truth.removals.has(change.id)) truth.fail('I1', `service ${short(change.id)} is gone, and nobody asked for its removal`);
      } else if (change.after.value.specNumber < was) {
        truth.fail('I1', `service ${short(change.id)} went back from spec ${was} to ${change.after.value.specNumber}`);
      } else if (mirror.get('specs', `${change.id}/${change.after.value.specNumber}`) === undefined) {
        truth.fail('I1', `service ${short(change.id)} names spec ${change.after.value.specNumber}, which is not there`);
      }
    }
    if (change.table === 'specs') {
      const { before, after } = change;
      const serviceId = change.id.slice(0, change.id.indexOf('/'));
      if (before === undefined && after !== undefined) checkRefused(change.id, after.value.spec?.labels[MARK_LABEL]);
      if (before !== undefined && after !== undefined) truth.fail('I1', `spec ${change.id} was written a second time`);
      const newest = mirror.get('services', serviceId)?.value.specNumber;
      if (after === undefined && newest === before?.value.number) truth.fail('I1', `spec ${change.id}, the newest of its service, is gone`);
    }
    if (change.table === 'taskStatus' && change.before !== undefined && change.after !== undefined) {
      const was = change.before.value.state;
      const is = change.after.value.state;
      if (is < was || (was >= TaskState.COMPLETE && is !== was)) {
        truth.fail('I8', `the status of task ${short(change.id)} went from state ${was} to ${is}`);
      }
    }
  });
  const check = (serviceId: string, specNumber: number): void => {
    if (truth.removals.has(serviceId)) return;
    const present = mirror.get('services', serviceId)?.value.specNumber;
    if (present === undefined || present < specNumber) {
      truth.fail('I1', `a user was told of spec ${specNumber} of service ${short(serviceId)}; the store has ${present ?? 'none'}`);
    }
  };
  truth.listen({
    refused({ mark, why }) {
      refusals.set(mark, why);
      for (const { id, value } of mirror.all('specs')) if (value.spec?.labels[MARK_LABEL] === mark) checkRefused(id, mark);
    },
    acknowledged({ serviceId, specNumber, spec }) {
      told.set(serviceId, Math.max(specNumber, told.get(serviceId) ?? 0));
      check(serviceId, specNumber);
      const stored = mirror.get('specs', `${serviceId}/${specNumber}`)?.value.spec;
      if (stored === undefined || spec === undefined) return;
      const same =
        stored.name === spec.name && stored.replicas === spec.replicas && stored.task?.container?.image === spec.task?.container?.image;
      if (!same) truth.fail('I1', `spec ${specNumber} of service ${spec.name} is not the one that was acknowledged`);
    },
    tick() {
      for (const [serviceId, specNumber] of told) check(serviceId, specNumber);
    },
  });
}
