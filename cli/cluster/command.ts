// `shoal events`, `shoal cluster` and `shoal version`: their flags.
import type { Command } from 'commander';
import { makeNoun } from '../command-line/noun.ts';
import { formatFlag } from '../command-line/shared-flags.ts';
import { addVerb, type Launch, listFlag, plainVerb } from '../command-line/verb.ts';
import { SETTINGS } from './settings.ts';

export function configureEvents(events: Command, launch: Launch): void {
  plainVerb(events);
  listFlag(
    events,
    '-f, --filter <KEY=VALUE>',
    'only what matches: type, event, service, task, node or label; values of one key are alternatives',
  );
  events.option(
    '--since <TIME>',
    'also what happened after this revision (1234) or time ("2026-01-02T13:23:37Z"), or this long ago ("42m")',
  );
  events.option('--until <TIME>', 'end at this revision or time');
  events.option('--format <FORMAT>', '"json" or a Go template such as "{{.Type}} {{.Action}} {{.Name}}"');
  events.action(launch(() => import('./events.ts')));
}

export function configureCluster(cluster: Command, launch: Launch): void {
  makeNoun(cluster);

  const inspect = addVerb(cluster, 'inspect', 'Show the cluster, its managers and its settings');
  formatFlag(inspect);
  inspect.action(launch(() => import('./inspect.ts')));

  const update = addVerb(cluster, 'update', 'Change the settings of the cluster');
  for (const { flag, value, help } of SETTINGS) update.option(`--${flag} <${value}>`, help);
  listFlag(update, '--reset <SETTING>', 'back to its default, by the name of its flag');
  update.action(launch(() => import('./update.ts')));
}

export function configureVersion(version: Command, launch: Launch): void {
  plainVerb(version);
  formatFlag(version);
  version.action(launch(() => import('./version.ts')));
}
