// Where tasks may run.
import type { Placement } from '../../../proto/index.ts';
import { parseConstraint } from '../../constraint/index.ts';
import { checkCount, checkListLength, checkText, type Report } from './report.ts';

const PATH = 'task.placement';
const MAX_CONSTRAINTS = 100;
const MAX_PLATFORMS = 100;
const MAX_REPLICAS_PER_NODE = 100_000;

export function checkPlacement(placement: Placement, report: Report): void {
  checkListLength(`${PATH}.constraints`, placement.constraints, MAX_CONSTRAINTS, report);
  placement.constraints.slice(0, MAX_CONSTRAINTS).forEach((text, index) => {
    const parsed = parseConstraint(text);
    if (!parsed.ok) report(`${PATH}.constraints[${index}]`, parsed.problem);
  });
  if (placement.spread.length > 0) {
    report(`${PATH}.spread`, 'spread preferences are not built yet and come with a later release; use constraints');
  }
  checkCount(`${PATH}.maxReplicasPerNode`, placement.maxReplicasPerNode, MAX_REPLICAS_PER_NODE, report);
  checkListLength(`${PATH}.platforms`, placement.platforms, MAX_PLATFORMS, report);
  placement.platforms.slice(0, MAX_PLATFORMS).forEach((platform, index) => {
    checkText(`${PATH}.platforms[${index}].os`, platform.os, 63, report);
    checkText(`${PATH}.platforms[${index}].arch`, platform.arch, 63, report);
  });
}
