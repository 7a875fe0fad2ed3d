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

  const rm = addVerb(node, 'rm <NODE...>', 'Remove nodes from the cluster').alias('remove');
  toggle(rm, '-f, --force', 'though it is up');
  rm.action(launch(() => import('./rm.ts')));
}
