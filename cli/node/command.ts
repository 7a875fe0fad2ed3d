// `shoal node ...`: its verbs and their flags.
import type { Command } from 'commander';
import { makeNoun } from '../command-line/noun.ts';
import { filterFlag, formatFlag } from '../command-line/shared-flags.ts';
import { toggle } from '../command-line/toggles.ts';
import { addVerb, type Launch, listFlag } from '../command-line/verb.ts';

export function configureNode(node: Command, launch: Launch): void {
  makeNoun(node);

  const ls = addVerb(node, 'ls', 'List nodes').alias('list');
  filterFlag(ls);
  formatFlag(ls);
  toggle(ls, '-q, --quiet', 'only show ids');
  ls.action(launch(() => import('./ls.ts')));

  const ps = addVerb(node, 'ps [NODE...]', 'List the tasks of nodes, of all where none is named');
  filterFlag(ps);
  formatFlag(ps);
  toggle(ps, '--no-trunc', 'do not shorten ids and errors');
  toggle(ps, '-q, --quiet', 'only show ids');
  ps.action(launch(() => import('./ps.ts')));

  const inspect = addVerb(node, 'inspect <NODE...>', 'Show everything about nodes');
  formatFlag(inspect);
  toggle(inspect, '--pretty', 'for people instead of JSON');
  inspect.action(launch(() => import('./inspect.ts')));

  const update = addVerb(node, 'update <NODE>', 'Change a node');
  update.option('--availability <AVAILABILITY>', 'active, pause (no new tasks) or drain (no tasks)');
  update.option('--role <ROLE>', 'worker or manager');
  listFlag(update, '--label-add <KEY=VALUE>', 'add or replace a label');
  listFlag(update, '--label-rm <KEY>', 'remove a label');
  update.action(launch(() => import('./update.ts')));

  const drain = addVerb(node, 'drain <NODE...>', 'Move all tasks away from nodes');
  toggle(drain, '--wait', 'until nothing is left on them');
  drain.option('--timeout <DURATION>', 'with --wait: no longer than this');
  drain.action(launch(async () => ({ run: (await import('./availability.ts')).runDrain })));

  const pause = addVerb(node, 'pause <NODE...>', 'Give nodes no new tasks; what runs there goes on');
  pause.action(launch(async () => ({ run: (await import('./availability.ts')).runPause })));

  const activate = addVerb(node, 'activate <NODE...>', 'Give nodes tasks again');
  activate.action(launch(async () => ({ run: (await import('./availability.ts')).runActivate })));

  const evict = addVerb(node, 'evict <NODE...>', 'Replace the tasks of nodes that are down at once, whatever holds that back');
  evict.action(launch(() => import('./evict.ts')));

  const rm = addVerb(node, 'rm <NODE...>', 'Remove nodes from the cluster').alias('remove');
  toggle(rm, '-f, --force', 'though it is up');
  rm.action(launch(() => import('./rm.ts')));
}
