// What is told on stderr beside what a verb does: warnings of the manager, and published ports that a node cannot answer.
import type { VerbContext } from '../command-line/verb.ts';
import { styled } from '../style.ts';

/** Says nothing where it cannot be asked: what the verb is for is done. */
export async function tellClosedPorts(context: VerbContext, serviceRefs: readonly string[]): Promise<void> {
  const control = await context.control();
  const reads = serviceRefs.map((ref) => control.read((client, options) => client.getService({ ref }, options)).catch(() => undefined));
  const warnings = (await Promise.all(reads))
    .flatMap((service) => service?.portProblems ?? [])
    .map(({ hostname, problem }) => `${hostname} does not answer port ${problem?.publishedPort ?? 0}: ${problem?.message ?? ''}`);
  tellWarnings(context, { warnings: [...new Set(warnings)].sort() });
}

export function tellWarnings({ shell }: VerbContext, { warnings }: { readonly warnings: readonly string[] }): void {
  for (const warning of warnings) shell.err.write(`${styled(shell, shell.err, 'yellow', 'warning:')} ${warning}\n`);
}
