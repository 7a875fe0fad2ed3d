// Transcripts: what is given, what happens, and what is then seen, as lines of text with the recorded output below each `then`. They read like the
// rules that they prove, and are recorded anew with RECORD=1 (look at the difference before you commit it).
//
//     # Why this transcript is here.
//     given nodes a b
//     when update web image=v2
//     then tasks web
//       web.1 v2 running a

export interface Verbs {
  /** One handler for each verb of `given` and `when`; throws where it makes no sense. */
  readonly acts: Readonly<Record<string, (args: readonly string[]) => void | Promise<void>>>;
  /** One for each verb of `then`: the lines that are seen. */
  readonly views: Readonly<Record<string, (args: readonly string[]) => readonly string[] | Promise<readonly string[]>>>;
  /** At the end, however it came. */
  readonly stop?: () => Promise<void>;
}

const INDENT = '  ';
const STEP = /^(given|when|then) (\S+)(.*)$/;

/** The text with the output of each `then` as it is now. */
export async function replay(text: string, verbs: Verbs): Promise<string> {
  const lines: string[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    // What was recorded before.
    if (line.startsWith(INDENT)) continue;
    lines.push(line);
    if (line === '' || line.startsWith('#')) continue;
    const [, kind, verb = '', rest = ''] = STEP.exec(line) ?? [];
    const args = rest.trim().split(/\s+/).filter(Boolean);
    try {
      if (kind === 'then') lines.push(...(await viewOf(verbs, verb)(args)).map((seen) => `${INDENT}${seen}`.trimEnd()));
      else await actOf(verbs, verb)(args);
    } catch (error) {
      throw new Error(`line ${index + 1}: ${line}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
  return lines.join('\n');
}

function viewOf({ views }: Verbs, verb: string): Verbs['views'][string] {
  return views[verb] ?? unknown(verb, views);
}

function actOf({ acts }: Verbs, verb: string): Verbs['acts'][string] {
  return acts[verb] ?? unknown(verb, acts);
}

function unknown(verb: string, known: object): never {
  throw new Error(`"${verb}" is not one of ${Object.keys(known).join(', ')}`);
}
