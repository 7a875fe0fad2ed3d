// `shoal events` and `shoal version`: their flags.
import type { Command } from 'commander';
import { filterFlag, formatFlag } from '../command-line/shared-flags.ts';
import { type Launch, plainVerb } from '../command-line/verb.ts';

export function configureEvents(events: Command, launch: Launch): void {
  plainVerb(events);
  filterFlag(events);
  events.option('--since <TIME>', 'also what happened since this time ("2026-01-02T13:23:37Z") or this long ago ("42m")');
  events.option('--until <TIME>', 'end at this time');
  events.option('--format <FORMAT>', '"json" or a Go template such as "{{.Type}} {{.Action}} {{.Name}}"');
  events.action(launch(() => import('./events.ts')));
}

export function configureVersion(version: Command, launch: Launch): void {
  plainVerb(version);
  formatFlag(version);
  version.action(launch(() => import('./version.ts')));
}
