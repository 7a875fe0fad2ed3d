// One line of comma-separated values as Docker's --mount and --publish take it: type=bind,source=/a,"target=/b,c".

/** Undefined where a quote is not closed. */
export function parseCsv(line: string): readonly string[] | undefined {
  const fields: string[] = [];
  let rest = line;
  for (;;) {
    const quoted = /^"((?:[^"]|"")*)"(?=,|$)/.exec(rest);
    const plain = /^[^",]*(?=,|$)/.exec(rest);
    const match = quoted ?? plain;
    if (match === null) return undefined;
    fields.push(quoted === null ? match[0] : (quoted[1] ?? '').replaceAll('""', '"'));
    if (match[0].length === rest.length) return fields;
    rest = rest.slice(match[0].length + 1);
  }
}

/** "a=b=c" -> ["a", "b=c"]; without "=" the value is undefined. */
export function splitKeyValue(text: string): readonly [key: string, value: string | undefined] {
  const equals = text.indexOf('=');
  return equals === -1 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)];
}
