// A deliberately broken variant of the product: one place of its source says something else. It is put in its place while the module is loaded, so that the
// product needs no switch for it, and stands beside nothing: whoever runs it runs nothing else.
import { register } from 'node:module';

export interface Variant {
  readonly name: string;
  /** What is broken, and which invariant is to notice. */
  readonly what: string;
  readonly patches: readonly Patch[];
}

export interface Patch {
  /** Below the root of the project. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly from: string;
  readonly to: string;
}

/** From now on the files of the variant are loaded in its form; those loaded before stay as they are. */
export function breakProduct({ patches }: Variant): void {
  register('./loader.mjs', import.meta.url, { data: { root: new URL('../../../', import.meta.url).href, patches } });
}
