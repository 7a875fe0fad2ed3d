// Where tasks may run.
import type { Affinity, Placement } from '../../../proto/index.ts';
import { parseAffinityTarget, parseConstraint, parseSpread } from '../../constraint/index.ts';
import { checkCount, checkListLength, checkText, type Report } from './report.ts';

const PATH = 'task.placement';
const MAX_CONSTRAINTS = 100;
const MAX_PLATFORMS = 100;
const MAX_REPLICAS_PER_NODE = 100_000;
const MAX_SPREAD_LEVELS = 5;
const MAX_AFFINITIES = 20;
const MAX_WEIGHT = 100;
const MAX_PRIORITY = 1_000_000;

export function checkPlacement(placement: Placement, report: Report): void {
  checkListLength(`${PATH}.constraints`, placement.constraints, MAX_CONSTRAINTS, report);
  placement.constraints.slice(0, MAX_CONSTRAINTS).forEach((text, index) => {
    const parsed = parseConstraint(text);
    if (!parsed.ok) report(`${PATH}.constraints[${index}]`, parsed.problem);
  });
  checkSpread(placement.spread, report);
  checkAffinities(placement.affinities, report);
  const { priority } = placement;
  if (!Number.isSafeInteger(priority) || Math.abs(priority) > MAX_PRIORITY)
    report(`${PATH}.priority`, `${priority} is not a whole number from ${-MAX_PRIORITY} to ${MAX_PRIORITY}`);
  checkCount(`${PATH}.maxReplicasPerNode`, placement.maxReplicasPerNode, MAX_REPLICAS_PER_NODE, report);
  checkListLength(`${PATH}.platforms`, placement.platforms, MAX_PLATFORMS, report);
  placement.platforms.slice(0, MAX_PLATFORMS).forEach((platform, index) => {
    checkText(`${PATH}.platforms[${index}].os`, platform.os, 63, report);
    checkText(`${PATH}.platforms[${index}].arch`, platform.arch, 63, report);
  });
}

function checkSpread(spread: readonly string[], report: Report): void {
  checkListLength(`${PATH}.spread`, spread, MAX_SPREAD_LEVELS, report);
  spread.slice(0, MAX_SPREAD_LEVELS).forEach((text, index) => {
    const path = `${PATH}.spread[${index}]`;
    const parsed = parseSpread(text);
    if (!parsed.ok) report(path, parsed.problem);
    else if (spread.indexOf(text) < index) report(path, `"${text}" is a level already`);
  });
}

function checkAffinities(affinities: readonly Affinity[], report: Report): void {
  checkListLength(`${PATH}.affinities`, affinities, MAX_AFFINITIES, report);
  affinities.slice(0, MAX_AFFINITIES).forEach(({ target, weight }, index) => {
    const path = `${PATH}.affinities[${index}]`;
    const parsed = parseAffinityTarget(target);
    if (!parsed.ok) report(`${path}.target`, parsed.problem);
    else if (affinities.findIndex((other) => other.target === target) < index) report(`${path}.target`, `"${target}" is given twice`);
    if (!Number.isSafeInteger(weight) || weight === 0 || Math.abs(weight) > MAX_WEIGHT)
      report(`${path}.weight`, `${weight} is not a weight from 1 to ${MAX_WEIGHT}, or below 0 for an anti-affinity`);
  });
}
