// Flags that many verbs have.
import type { Command } from 'commander';
import { listFlag } from './verb.ts';

export function formatFlag(command: Command): void {
  command.option('--format <FORMAT>', '"table", "json", "table TEMPLATE" or a Go template such as "{{.ID}}"');
}

export function filterFlag(command: Command): void {
  listFlag(command, '-f, --filter <KEY=VALUE>', 'only what matches; values of one key are alternatives');
}
