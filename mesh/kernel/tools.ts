// The system's programs that the kernel path uses (nft, iptables, conntrack): each run has a deadline, and its failure a reason in plain words.
import { execFile } from 'node:child_process';
import { type Clock, withDeadline } from '../../lib/clock.ts';
import { errnoOf, messageOf, ShoalError } from '../../lib/errors.ts';

export type Tool = 'nft' | 'iptables' | 'ip6tables' | 'conntrack';

/**
 * Runs it to its end and gives what it wrote. Throws `unimplemented` where it is not installed, `permission_denied` where it may not do that,
 * `deadline_exceeded`, else `unavailable` with what it said.
 */
export type RunTool = (tool: Tool, args: readonly string[], input?: string) => Promise<string>;

/** 10,000 targets take half a second on a slow host. */
const DEADLINE_MS = 5000;
/** A listing of 10,000 ports. */
const MAX_OUTPUT_BYTES = 256 * 2 ** 20;

const PACKAGES: Readonly<Record<Tool, string>> = { nft: 'nftables', iptables: 'iptables', ip6tables: 'iptables', conntrack: 'conntrack' };

export function systemTools(clock: Clock): RunTool {
  // Services are often started without the folders of system programs.
  const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  return (tool, args, input) =>
    withDeadline(
      clock,
      DEADLINE_MS,
      `${tool} ${args[0] ?? ''}`,
      (signal) =>
        new Promise((resolve, reject) => {
          const options = { signal, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES, env } as const;
          const child = execFile(tool, args, options, (error, stdout, stderr) => {
            if (error === null) resolve(stdout);
            else reject(failure(tool, error, stderr));
          });
          // One that ends without reading says why by its exit code.
          child.stdin?.on('error', () => undefined);
          child.stdin?.end(input ?? '');
        }),
    );
}

function failure(tool: Tool, error: Error, stderr: string): ShoalError {
  if (errnoOf(error) === 'ENOENT') {
    return new ShoalError('unimplemented', `${tool} is not installed on this node (package ${PACKAGES[tool]})`, { cause: error });
  }
  if (/operation not permitted|permission denied|must be root/i.test(stderr)) {
    return new ShoalError('permission_denied', `the mesh may not change the kernel's rules: ${tool} needs root, or CAP_NET_ADMIN`);
  }
  const [said = messageOf(error)] = stderr.split('\n').filter((line) => line.trim() !== '');
  return new ShoalError('unavailable', `${tool} failed: ${said.slice(0, 300)}`, { cause: error });
}
