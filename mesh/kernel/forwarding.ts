// Whether this node forwards packets at all, and lets those of the kernel path through Docker's own filter: by one marked rule in the chain that Docker leaves to users.
import { messageOf, ShoalError } from '../../lib/errors.ts';
import { readIfThere } from '../../lib/durable-file.ts';
import { CONNECTION_MARK } from './rules.ts';
import { type RunTool } from './tools.ts';

export type Family = '4' | '6';

export interface Forwarding {
  /** Why packets of that family would not pass, in plain words; makes the rule where it is missing. Never rejects. */
  prepare(family: Family): Promise<string | undefined>;
}

const SETTINGS: Readonly<Record<Family, { readonly path: string; readonly name: string }>> = {
  4: { path: '/proc/sys/net/ipv4/ip_forward', name: 'net.ipv4.ip_forward' },
  6: { path: '/proc/sys/net/ipv6/conf/all/forwarding', name: 'net.ipv6.conf.all.forwarding' },
};

/** `table`: names the rule as this node's. */
export function systemForwarding(table: string, run: RunTool): Forwarding {
  return {
    async prepare(family) {
      const { path, name } = SETTINGS[family];
      if (readIfThere(path)?.toString().trim() !== '1') return `this node does not forward packets; set ${name} to 1`;
      try {
        return await openDocker(iptablesOf(family), table, run);
      } catch (error) {
        return messageOf(error);
      }
    },
  };
}

async function openDocker(iptables: 'iptables' | 'ip6tables', table: string, run: RunTool): Promise<string | undefined> {
  let rules: string;
  try {
    rules = await run(iptables, [...WAIT, '-S']);
  } catch (error) {
    // Without it nobody has made a filter of that kind.
    if (error instanceof ShoalError && error.code === 'unimplemented') return undefined;
    throw error;
  }
  const lines = rules.split('\n');
  if (!lines.includes('-N DOCKER-USER')) {
    if (!lines.includes('-P FORWARD DROP')) return undefined;
    return `the policy of ${iptables}' FORWARD chain is DROP, and there is no chain DOCKER-USER to let mapped connections through`;
  }
  if (!lines.some((line) => isOurs(line, table))) {
    await run(iptables, [...WAIT, '-I', 'DOCKER-USER', ...ruleOf(table)]);
  }
  return undefined;
}

/** Removes the rule from both families, as often as it is there. Rejects only where one is left. */
export async function closeDocker(table: string, run: RunTool): Promise<void> {
  for (const iptables of ['iptables', 'ip6tables'] as const) {
    // No program, or no right to look: then none was made either.
    const rules = await run(iptables, [...WAIT, '-S']).catch(() => '');
    const ours = rules.split('\n').filter((line) => isOurs(line, table));
    for (let left = ours.length; left > 0; left--) await run(iptables, [...WAIT, '-D', 'DOCKER-USER', ...ruleOf(table)]);
  }
}

function isOurs(line: string, table: string): boolean {
  return line.startsWith('-A DOCKER-USER') && new RegExp(`--comment "?${table}"?( |$)`).test(line);
}

/** Seconds for the lock that programs on iptables share. */
const WAIT = ['-w', '2'] as const;

function ruleOf(table: string): readonly string[] {
  const mark = `0x${CONNECTION_MARK.toString(16)}`;
  return ['-m', 'connmark', '--mark', `${mark}/${mark}`, '-m', 'comment', '--comment', table, '-j', 'ACCEPT'];
}

function iptablesOf(family: Family): 'iptables' | 'ip6tables' {
  return family === '4' ? 'iptables' : 'ip6tables';
}
