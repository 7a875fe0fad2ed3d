// Epochs name route tables; this says which of two is the newer one, and which may replace which.
import { type Epoch } from '../../proto/index.ts';

export type EpochOrder = 'same' | 'newer' | 'older' | 'foreign';

/**
 * What `candidate` is, seen from `current`. Incarnations are ordered by their number, and only within one of them do revisions mean anything.
 * Two incarnations with one number (a backup restored twice) have no order: the one that comes now is what the cluster runs, so it is the newer.
 */
export function compareEpochs(candidate: Epoch, current: Epoch): EpochOrder {
  if (candidate.clusterId !== current.clusterId) return 'foreign';
  if (candidate.incarnationNumber !== current.incarnationNumber) {
    return candidate.incarnationNumber > current.incarnationNumber ? 'newer' : 'older';
  }
  if (candidate.incarnation !== current.incarnation) return 'newer';
  if (candidate.revision === current.revision) return 'same';
  return candidate.revision > current.revision ? 'newer' : 'older';
}

/** For messages: "revision 812 of incarnation 2". */
export function describeEpoch(epoch: Epoch): string {
  return `revision ${String(epoch.revision)} of incarnation ${String(epoch.incarnationNumber)}`;
}
