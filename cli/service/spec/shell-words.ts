// Splits a command line into words as a POSIX shell would, without expanding anything.

/** Undefined where a quote is not closed or a backslash ends the text. */
export function shellWords(text: string): readonly string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let rest = text;
  while (rest !== '') {
    const part = PART.exec(rest);
    if (part === null) return undefined;
    const { space, single, double, escaped, plain } = part.groups ?? {};
    if (space !== undefined) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + (single ?? double?.replaceAll(/\\(["\\$`])/g, '$1') ?? escaped ?? plain ?? '');
    }
    rest = rest.slice(part[0].length);
  }
  return word === undefined ? words : [...words, word];
}

const PART = /^(?:(?<space>\s+)|'(?<single>[^']*)'|"(?<double>(?:[^"\\]|\\[\s\S])*)"|\\(?<escaped>[\s\S])|(?<plain>[^\s'"\\]+))/;
