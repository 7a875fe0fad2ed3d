// Shows progress on stderr, so that stdout holds only the result: redrawn in place on a terminal, a line per change elsewhere.
import { displayWidth } from '../../format/table.ts';
import { ellipsis } from '../../format/text.ts';
import type { Output, Shell } from '../../shell.ts';
import { styled } from '../../style.ts';
import { type ProgressLine, withoutReasons } from './describe.ts';

export interface ProgressView {
  show(lines: readonly ProgressLine[]): void;
  /** A last line, below what was shown. */
  finish(text: string): void;
}

export function progressView(shell: Shell, quiet: boolean): ProgressView {
  if (quiet) return { show: () => undefined, finish: () => undefined };
  return shell.err.isTerminal ? terminalView(shell) : plainView(shell.err);
}

interface Shown {
  readonly text: string;
  /** What is printed where all reasons are known. */
  readonly bare: string;
  /** Of the last line that gave any. */
  readonly reasons: readonly string[];
}

/** Each line once, and again when it changed or lost its reasons; a reason once, and again after another one. */
function plainView(output: Output): ProgressView {
  const shown = new Map<string, Shown>();
  return {
    show(lines) {
      for (const line of lines) {
        const { key, text } = line;
        const before = shown.get(key);
        if (before?.text === text || (before !== undefined && line.isCountdown === true)) continue;
        const known = before?.reasons ?? [];
        const print = withoutReasons(line, (reason) => known.includes(reason));
        const bare = withoutReasons(line, () => true);
        shown.set(key, { text, bare, reasons: line.reasons.length > 0 ? line.reasons : known });
        const isCleared = line.reasons.length === 0 && before !== undefined && before.text !== before.bare;
        if (print !== before?.bare || isCleared) output.write(`${print}\n`);
      }
      // A reason that is gone and comes back is news.
      for (const key of [...shown.keys()]) if (!lines.some((line) => line.key === key)) shown.delete(key);
    },
    finish: (text) => output.write(`${text}\n`),
  };
}

const CLEAR_LINE = '\x1b[2K';
const CLEAR_BELOW = '\x1b[J';

function terminalView(shell: Shell): ProgressView {
  const output = shell.err;
  let height = 0;
  return {
    show(lines) {
      const up = height > 0 ? `\x1b[${String(height)}A\r` : '';
      // A line that wraps, or more lines than the terminal has, would put the cursor in the wrong place at the next redraw.
      const fitting = lines
        .slice(0, Math.max(1, output.rows - 2))
        .map(({ text }) => (displayWidth(text) < output.columns ? text : ellipsis(text, output.columns - 1)));
      output.write(`${up}${fitting.map((text) => `${CLEAR_LINE}${coloured(shell, text)}\n`).join('')}${CLEAR_BELOW}`);
      height = fitting.length;
    },
    finish: (text) => output.write(`${text}\n`),
  };
}

function coloured(shell: Shell, text: string): string {
  if (/: (?:failed|rejected|orphaned)\b/.test(text)) return styled(shell, shell.err, 'red', text);
  if (/(?:: |tasks? )pending\b/.test(text)) return styled(shell, shell.err, 'yellow', text);
  return /: running(?: on \S+)?$/.test(text) ? styled(shell, shell.err, 'green', text) : text;
}
