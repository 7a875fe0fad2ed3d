// `shoal service ...`: its verbs and their flags.
import { type Command } from 'commander';
import { makeNoun } from '../command-line/noun.ts';
import { toggle } from '../command-line/toggles.ts';
import { usageError } from '../command-line/usage-error.ts';
import { addRunningVerb, addVerb, checkFlagsWith, type Launch } from '../command-line/verb.ts';
import { filterFlag, formatFlag } from '../command-line/shared-flags.ts';
import { declareIfVersion, declarePlanFlags } from './plan/plan-flags.ts';
import { declareCreateFlags, declareUpdateFlags } from './flags.ts';

export function configureService(service: Command, launch: Launch): void {
  makeNoun(service);

  const create = addRunningVerb(service, 'create <IMAGE> [COMMAND...]', 'Create a new service');
  declareCreateFlags(create);
  waitFlags(create);
  declarePlanFlags(create);
  checkFlagsWith(create, async (context, unknown) => {
    // Which word is the image is not known among unknown flags.
    await (await import('./create.ts')).checked(context, ['image'], create.opts(), unknown);
  });
  create.action(launch(() => import('./create.ts')));

  const update = addVerb(service, 'update <SERVICE>', 'Change a service and roll the change out');
  declareUpdateFlags(update);
  waitFlags(update);
  declarePlanFlags(update);
  checkFlagsWith(update, async ({ shell }, unknown) => {
    const { wrongForAny } = await import('./update.ts');
    throw usageError(update, [...unknown, ...wrongForAny(update.opts(), shell)]);
  });
  update.action(launch(() => import('./update.ts')));

  const rollback = addVerb(service, 'rollback <SERVICE>', 'Go back to an earlier spec of a service');
  rollback.option('--to <N>', 'number of the spec, as `service history` shows it (default: the previous one)');
  waitFlags(rollback);
  declarePlanFlags(rollback);
  rollback.action(launch(() => import('./rollback.ts')));

  const history = addVerb(service, 'history <SERVICE>', 'List the specs that a service had, newest first');
  formatFlag(history);
  toggle(history, '-q, --quiet', 'only show numbers');
  history.action(launch(() => import('./history.ts')));

  const diff = addVerb(service, 'diff <SERVICE> <A> [B]', 'Show how two specs of a service differ (B: the active one)');
  formatFlag(diff);
  diff.action(launch(() => import('./diff.ts')));

  const ls = addVerb(service, 'ls', 'List services').alias('list');
  filterFlag(ls);
  formatFlag(ls);
  toggle(ls, '-q, --quiet', 'only show ids');
  toggle(ls, '--no-trunc', 'do not shorten ids');
  ls.action(launch(() => import('./ls.ts')));

  const ps = addVerb(service, 'ps <SERVICE...>', 'List the tasks of services');
  filterFlag(ps);
  formatFlag(ps);
  toggle(ps, '--no-trunc', 'do not shorten ids and errors');
  toggle(ps, '-q, --quiet', 'only show ids');
  ps.action(launch(() => import('./ps.ts')));

  const inspect = addVerb(service, 'inspect <SERVICE...>', 'Show everything about services');
  formatFlag(inspect);
  toggle(inspect, '--pretty', 'for people instead of JSON');
  inspect.action(launch(() => import('./inspect.ts')));

  const explain = addVerb(service, 'explain <SERVICE>', 'Say why a service is not as it should be, and what would change that');
  explain.option('--format <FORMAT>', '"json" or a Go template such as "{{.AllRight}}"');
  explain.action(launch(() => import('./explain.ts')));

  const scale = addVerb(service, 'scale <SERVICE=REPLICAS...>', 'Change the number of replicas of services');
  waitFlags(scale);
  declarePlanFlags(scale);
  scale.action(launch(() => import('./scale.ts')));

  const rebalance = addVerb(service, 'rebalance <SERVICE...>', 'Move tasks, one at a time, to where they would be placed now');
  waitFlags(rebalance);
  toggle(rebalance, '--plan', 'only show what would move; exit code 0: nothing, 1: something, above: an error');
  rebalance.option('--format <FORMAT>', 'of --plan: "json" or a Go template such as "{{.Fits}}"');
  rebalance.action(launch(() => import('./rebalance.ts')));

  const pause = addVerb(service, 'pause <SERVICE...>', 'Let new clients of published ports wait, for a short while');
  pause.option('--for <DURATION>', 'how long at most, 1s to 10m (default: 1m); `service resume` ends it earlier');
  pause.action(launch(async () => ({ run: (await import('./pause.ts')).runPause })));

  const resume = addVerb(service, 'resume <SERVICE...>', 'Let the clients of paused services go on');
  resume.action(launch(async () => ({ run: (await import('./pause.ts')).runResume })));

  const rm = addVerb(service, 'rm <SERVICE...>', 'Remove services').alias('remove');
  declareIfVersion(rm);
  rm.action(launch(() => import('./rm.ts')));

  const logs = addVerb(service, 'logs <SERVICE|TASK...>', 'Show what the tasks of services print');
  toggle(logs, '-f, --follow', 'go on with what comes, also from new tasks');
  logs.option('-n, --tail <N>', 'lines from the end of each task (default: all)');
  logs.option('--since <TIME>', 'from this time on ("2026-01-02T13:23:37Z") or this long ago ("42m")');
  toggle(logs, '-t, --timestamps', 'show when each line was printed');
  toggle(logs, '--no-trunc', 'do not shorten ids');
  toggle(logs, '--no-task-ids', 'leave the ids of tasks out');
  toggle(logs, '--no-resolve', 'show ids of nodes instead of names');
  toggle(logs, '--raw', 'only what the tasks print');
  logs.action(launch(() => import('./logs.ts')));
}

function waitFlags(command: Command): void {
  toggle(command, '-d, --detach', 'return at once instead of waiting for convergence');
  toggle(command, '-q, --quiet', 'show no progress');
  command.option('--verify <DURATION>', 'how long all tasks have to stay up to count as converged (default: 5s; 0s: not at all)');
  command.option('--timeout <DURATION>', 'wait no longer than this, and exit with 6 (default: as long as it takes)');
}
