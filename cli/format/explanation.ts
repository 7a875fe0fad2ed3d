// What `service explain` says, in lines: each thing in the way with its reason and, after an arrow, the way out.
import { type ConsideredNode, enumName, type ExplainedTask, type Finding, type ServiceExplanation, TaskState } from '../../proto/index.ts';
import { ago } from './text.ts';

const MAX_SAME = 5;
/** Of those that no change would make fit, and of those far from it, people want to know that there are some. */
const MAX_NODES = 10;

export function explanationLines(explanation: ServiceExplanation, nowUnixMs: number): readonly string[] {
  const { serviceName, desired, running, allRight, tasks, moreTasks, rollout, ports } = explanation;
  const advice = section(
    'what could be better:',
    explanation.advice.flatMap((finding) => findingLines(finding, nowUnixMs)),
  );
  const counts = `${String(running)} of ${String(desired)} tasks run${explanation.earlier === 0 ? '' : `, ${String(explanation.earlier)} of them by the earlier version`}`;
  if (allRight) return [`${serviceName}: all right, ${explanation.job || counts}`, ...advice];
  return [
    `${serviceName}: ${[counts, explanation.job].filter((part) => part !== '').join('; ')}`,
    ...section(
      'the service as a whole:',
      rollout.flatMap((finding) => findingLines(finding, nowUnixMs)),
    ),
    ...section(
      'tasks that are not where they should be:',
      tasks.flatMap((task) => taskLines(task, nowUnixMs)),
    ),
    ...(moreTasks === 0 ? [] : [`  and ${String(moreTasks)} more`]),
    ...section(
      'published ports that are not open everywhere:',
      ports.flatMap((finding) => findingLines(finding, nowUnixMs)),
    ),
    ...advice,
  ];
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
}

function findingLines({ reason, wayOut, sinceUnixMs }: Finding, nowUnixMs: number): readonly string[] {
  return [`${reason}${since(sinceUnixMs, nowUnixMs)}${arrow(wayOut)}`];
}

function taskLines(task: ExplainedTask, nowUnixMs: number): readonly string[] {
  const { name, state, finding, sameAsThis, nodes, moreNodes, preemption } = task;
  const shown = sameAsThis.slice(0, MAX_SAME);
  const others = sameAsThis.length > shown.length ? ` and ${String(sameAsThis.length - shown.length)} more` : '';
  const names = [name, ...shown].join(', ') + others;
  const { reason = '', wayOut = '', sinceUnixMs = 0 } = finding ?? {};
  const listed = nodes.slice(0, MAX_NODES);
  const rest = nodes.length - listed.length + moreNodes;
  return [
    `${names} (${enumName(TaskState, state).toLowerCase()}): ${reason}${since(sinceUnixMs, nowUnixMs)}${arrow(wayOut)}`,
    ...(preemption === undefined ? [] : [`  by preemption: ${preemption.reason}${arrow(preemption.wayOut)}`]),
    ...listed.flatMap((node) => nodeLines(node).map((line) => `  ${line}`)),
    ...(rest === 0 ? [] : [`  and ${String(rest)} nodes further from taking it`]),
  ];
}

function nodeLines({ hostname, refusals }: ConsideredNode): readonly string[] {
  if (refusals.length === 0) return [`${hostname}: takes it now`];
  return refusals.map(({ reason, change }) => {
    const what =
      change === undefined ? 'no change there helps' : change.command === '' ? change.what : `${change.what}: \`${change.command}\``;
    return `${hostname}: ${reason}${arrow(what)}`;
  });
}

function since(unixMs: number, nowUnixMs: number): string {
  return unixMs === 0 ? '' : ` (since ${ago(unixMs, nowUnixMs).toLowerCase()})`;
}

function arrow(wayOut: string): string {
  return wayOut === '' ? '' : ` -> ${wayOut}`;
}
