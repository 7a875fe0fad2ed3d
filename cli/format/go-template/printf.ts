// The verbs of Go's printf that templates use: %s %v %d %q %t %f %x %%, with width, precision, "-" and "0".
import { templateError } from './tokens.ts';
import { show, type Value } from './value.ts';

const VERB = /%([-0+]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])/g;

export function formatPrintf(format: string, values: readonly Value[]): string {
  let used = 0;
  const text = format.replaceAll(VERB, (_match, flags: string, width: string | undefined, precision: string | undefined, verb: string) => {
    if (verb === '%') return '%';
    if (used >= values.length) return `%!${verb}(MISSING)`;
    const shown = showAs(verb, values[used++], precision === undefined ? undefined : Number(precision));
    return pad(shown, Number(width ?? 0), flags);
  });
  return used < values.length ? `${text}%!(EXTRA ${values.slice(used).map(show).join(', ')})` : text;
}

function showAs(verb: string, value: Value, precision: number | undefined): string {
  switch (verb) {
    case 's':
    case 'v':
      return precision === undefined ? show(value) : show(value).slice(0, precision);
    case 'd':
      return show(value);
    case 't':
      return show(value);
    case 'q':
      return JSON.stringify(show(value));
    case 'f':
      return typeof value === 'number' ? value.toFixed(precision ?? 6) : show(value);
    case 'x':
      return typeof value === 'number' ? value.toString(16) : Buffer.from(show(value)).toString('hex');
    default:
      throw templateError(`printf does not know %${verb}`);
  }
}

function pad(text: string, width: number, flags: string): string {
  if (flags.includes('-')) return text.padEnd(width);
  return text.padStart(width, flags.includes('0') ? '0' : ' ');
}
