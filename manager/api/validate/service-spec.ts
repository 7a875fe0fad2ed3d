// The one entry for service specs: finds every wrong field, not just the first. Pure.
import type { FieldProblem } from '../../../lib/errors.ts';
import { OnReturn, RebalancePolicy, ServiceMode, ServiceSpec, type TaskSpec } from '../../../proto/index.ts';
import { checkContainer } from './container.ts';
import { checkJob } from './job.ts';
import { checkName } from './names.ts';
import { checkPlacement } from './placement.ts';
import { checkRestart, checkUpdateConfig } from './policies.ts';
import { checkPorts } from './ports.ts';
import { checkProbes } from './probes.ts';
import { checkCount, checkDuration, checkEnum, checkMap, checkText, type Report } from './report.ts';
import { checkGenericReservations, checkResources } from './resources.ts';
import { type TemplateCheck, templateCheck } from './templates.ts';

export const MAX_REPLICAS = 100_000;
/** Specs may be large, and each manager holds all of them. */
const MAX_SPEC_HISTORY = 100;
/** Leaves room for the other rows of the transaction within etcd's 1.5 MiB. */
const MAX_SPEC_BYTES = 1024 * 1024;

/** All that is wrong with the spec; empty: it can be stored. */
export function serviceSpecProblems(spec: ServiceSpec): FieldProblem[] {
  const problems: FieldProblem[] = [];
  const report: Report = (path, message) => {
    problems.push({ path, message });
  };
  checkName('name', spec.name, report);
  checkMap('labels', spec.labels, report);
  checkMode(spec, report);
  if (spec.task === undefined) report('task', 'is missing: say which image to run');
  else checkTask(spec.task, report, templateCheck(spec.labels, report));
  if (spec.update !== undefined) checkUpdateConfig('update', spec.update, report);
  if (spec.rollback !== undefined) checkUpdateConfig('rollback', spec.rollback, report);
  checkJob(spec, MAX_REPLICAS, report);
  checkPorts(spec.ports, report);
  checkDuration('drainPeriodMs', spec.drainPeriodMs, report);
  checkCount('specHistoryLimit', spec.specHistoryLimit ?? 0, MAX_SPEC_HISTORY, report);
  checkEnum('rebalance', spec.rebalance, RebalancePolicy, report);
  if (spec.rebalance === RebalancePolicy.REBALANCE_AUTO && spec.mode !== ServiceMode.REPLICATED)
    report('rebalance', 'auto is for replicated services: the tasks of others have their nodes by other rules');
  checkEnum('onReturn', spec.onReturn, OnReturn, report);
  const bytes = ServiceSpec.encode(spec).length;
  if (bytes > MAX_SPEC_BYTES) report('spec', `takes ${bytes} bytes in all; at most ${MAX_SPEC_BYTES} are taken`);
  return problems;
}

/** What an update may not change. */
export function changeProblems(before: ServiceSpec, after: ServiceSpec): FieldProblem[] {
  const problems: FieldProblem[] = [];
  if (before.name !== after.name) {
    problems.push({ path: 'name', message: `a service cannot be renamed (it is "${before.name}"): create a new one and remove this one` });
  }
  if (before.mode !== after.mode) {
    problems.push({ path: 'mode', message: 'the mode of a service cannot be changed: create a new one and remove this one' });
  }
  return problems;
}

function checkMode({ mode, replicas, task }: ServiceSpec, report: Report): void {
  switch (mode) {
    case ServiceMode.REPLICATED:
    case ServiceMode.REPLICATED_JOB:
      checkCount('replicas', replicas, MAX_REPLICAS, report);
      return;
    case ServiceMode.GLOBAL:
    case ServiceMode.GLOBAL_JOB: {
      const rule = `is not taken: a global ${mode === ServiceMode.GLOBAL ? 'service' : 'job'} runs one task on each node`;
      const perNode = task?.placement?.maxReplicasPerNode ?? 0;
      if (replicas !== 0) report('replicas', `${replicas} ${rule}`);
      if (perNode > 0) report('task.placement.maxReplicasPerNode', `${perNode} ${rule}`);
      return;
    }
    default:
      checkEnum('mode', mode, ServiceMode, report);
  }
}

function checkTask(task: TaskSpec, report: Report, checkTemplate: TemplateCheck): void {
  if (task.container === undefined) report('task.container', 'is missing: say which image to run');
  else checkContainer(task.container, report, checkTemplate);
  checkResources(task.reservations, task.limits, report);
  checkGenericReservations(task.genericReservations, report);
  if (task.restart !== undefined) checkRestart(task.restart, report);
  if (task.placement !== undefined) checkPlacement(task.placement, report);
  if (task.probes !== undefined) checkProbes(task.probes, report);
  if (task.logDriver === undefined) return;
  if (task.logDriver.name === '') report('task.logDriver.name', 'a driver is needed, e.g. json-file');
  checkText('task.logDriver.name', task.logDriver.name, 255, report);
  checkMap('task.logDriver.options', task.logDriver.options, report);
}
