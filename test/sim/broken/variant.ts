// A deliberately broken variant of the product: one place of its source says something else. It is put in its place while the module is loaded, so that the
// product needs no switch for it, and stands beside nothing: whoever runs it runs nothing else.
import { existsSync, readFileSync } from 'node:fs';
import { register } from 'node:module';

export interface Variant {
  readonly name: string;
  /** What is broken, and which invariant is to notice. */
  readonly what: string;
  /** A seed that notices it as the product is at present. */
  readonly knownSeed: number;
  readonly patches: readonly Patch[];
}

export interface Patch {
  /** Below the root of the project. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly from: string;
  readonly to: string;
}

const ROOT = new URL('../../../', import.meta.url);

/** Places of the source that no longer say, exactly once, what the variant replaces. */
export function misfits({ patches }: Variant): readonly string[] {
  return patches
    .filter(({ file, from }) => {
      const path = new URL(file, ROOT);
      return !existsSync(path) || readFileSync(path, 'utf8').split(from).length !== 2;
    })
    .map(({ file, from }) => `${file} does not have exactly one "${from}"`);
}

/** From now on the files of the variant are loaded in its form; those loaded before stay as they are. */
export function breakProduct({ patches }: Variant): void {
  register('./loader.mjs', import.meta.url, { data: { root: ROOT.href, patches } });
}
