// The text of a constraint with a place in it: what the parser reads from, and where its refusals take the position from.

/** Says what is wrong, and where. */
export class MalformedConstraint extends Error {}

const BLANKS = /\s*/y;

export class ConstraintText {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get position(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  sees(symbol: string): boolean {
    return this.#text.startsWith(symbol, this.#at);
  }

  /** Takes the symbol if it comes next, blanks aside. */
  take(symbol: string): boolean {
    this.skipBlanks();
    if (!this.sees(symbol)) return false;
    this.#at += symbol.length;
    return true;
  }

  /** What the sticky pattern matches here; undefined: nothing, and nothing is taken. */
  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found === '' ? undefined : found;
  }

  skipBlanks(): void {
    this.match(BLANKS);
  }

  /** Up to the next blank. */
  word(): string {
    return this.match(/\S+/y) ?? '';
  }

  restFrom(start: number, end?: number): string {
    return this.#text.slice(start, end).trim();
  }

  /** A value up to `||`, one of `ends`, or the end of the text; one in double quotes may hold all of them. Refuses an empty one. */
  value(operator: string, ends: string): string {
    this.skipBlanks();
    const start = this.#at;
    const value = this.sees('"') ? this.#quoted(ends) : this.#plain(ends);
    if (value === '') this.refuse(`there is no value after ${operator}`, start);
    // eslint-disable-next-line no-control-regex -- control characters are what is looked for
    if (/[\u0000-\u001f\u007f-\u009f]/.test(value)) this.refuse('the value holds control characters', start);
    return value;
  }

  #plain(ends: string): string {
    const start = this.#at;
    while (!this.isAtEnd && !this.sees('||') && !ends.includes(this.#text[this.#at] ?? '')) this.#at++;
    return this.#text.slice(start, this.#at).trim();
  }

  #quoted(ends: string): string {
    const start = this.#at;
    const end = this.#text.indexOf('"', start + 1);
    if (end === -1) this.refuse('a closing " is missing', start);
    this.#at = end + 1;
    this.skipBlanks();
    if (!this.isAtEnd && !this.sees('||') && !ends.includes(this.#text[this.#at] ?? ''))
      this.refuse('nothing follows a value in quotes', this.#at);
    return this.#text.slice(start + 1, end);
  }

  refuse(problem: string, position: number): never {
    throw new MalformedConstraint(`${problem} (at character ${position + 1} of "${this.#text}")`);
  }
}
